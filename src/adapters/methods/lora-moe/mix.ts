// LoRA-MoE: routes each token among a site's experts and weighs their columns by the gates.
import { balance, gate } from '../../../ops/adapter.ts';
import { type Losses, type Mix, partsOf } from '../../method.ts';

export const mix: Mix = (rec, group, h, context) => {
  const { experts, factor, learn } = partsOf(rec, group, context);
  const logits = { h, start: group.dropped };
  const { routing, counted } = context;
  const counts = { routing, counted, first: group.firstExpert };
  const u = gate(rec, logits, experts, factor, counts, (gates) => learn?.(logits, gates));
  return { u, scales: null };
};

export const losses: Losses = (rec, { routing }, statistics) => balance(rec, routing, statistics);
