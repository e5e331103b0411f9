// Plain LoRA: B reads the down-projections as they are, in a search those of the open rows.
import { scaleColumns } from '../../../ops/adapter.ts';
import type { Mix } from '../../method.ts';

export const mix: Mix = (rec, group, h, { search }) => {
  if (!search) return { u: h, scales: group.sites.map((s) => s.scales[0]) };
  const { experts, factor } = search(rec, group);
  return { u: scaleColumns(rec, h, experts, factor), scales: null };
};
