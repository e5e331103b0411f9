// Plain LoRA: B reads the down-projections as they are.
import type { Mix } from '../../method.ts';

export const mix: Mix = (_, { sites }, h) => ({ u: h, scales: sites.map((s) => s.scales[0]) });
