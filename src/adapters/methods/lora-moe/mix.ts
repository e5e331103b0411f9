// LoRA-MoE: routes each token among a site's experts and weighs their columns by the gates.
import { balance, mix as mixColumns, route } from '../../../ops/adapter.ts';
import { type Losses, type Mix, partsOf } from '../../method.ts';

export const mix: Mix = (rec, group, h, context) => {
  const { experts, factor, learn } = partsOf(rec, group, context);
  const logits = { h, start: group.dropped };
  const gates = route(rec, logits, experts, context.routing, group.firstExpert, context.counted);
  learn?.(logits, gates);
  return { u: mixColumns(rec, h, experts, factor, gates), scales: null };
};

export const losses: Losses = (rec, { routing }, statistics) => balance(rec, routing, statistics);
