// LoRA-MoE (method §1): experts of any rank at a site, of which a router keeps the top K per token.
import { z } from 'zod';
import { count, setting } from '../../../util/setting.ts';
import { defineMethod } from '../shape.ts';

export const loraMoe = defineMethod({
  name: 'lora-moe',
  order: 1,
  title: 'Mixture of experts',
  about: 'a mixture of experts',
  help: 'Several LoRA experts in every linear; a router picks the best few for each token.',
  settings: {
    experts: setting(count(64).default(8), {
      label: 'Experts',
      help: 'In every linear; with a search, the most that one may get',
    }),
    topK: setting(count(64).default(2), {
      label: 'Experts per token',
      help: 'Top-k: how many experts are kept for each token, at most all',
    }),
    balance: setting(z.number().min(0).default(0.001), {
      label: 'Balance',
      help: 'Coefficient of the load-balancing loss',
    }),
    scale: setting(z.enum(['constant', 'per-expert']).default('constant'), {
      help: 'Scale of the update: alpha / rank for all experts, or alpha / each expert’s own rank',
    }),
  },
  check({ topK, experts }) {
    if (topK > experts) return { topK: `must not exceed adapter.experts (${experts})` };
    if (topK > 1 || experts === 1) return {};
    return {
      topK: 'must be 2 or more with several experts: with one kept, its weight is always 1 and the router learns nothing',
    };
  },
  sizes: 'experts',
  estimators: ['survival', 'paper'],
  routed: true,
  file: { type: 'GUILOMO', settings: ['topK', 'scale'] },
  stored: ({ ranks }) => ({
    dropped: ranks.map((rows, i) => ({ key: `experts.${i}.lora_A.weight`, rows })),
    plain: [{ key: 'router.weight', rows: ranks.length }],
    up: ranks.map((rows, i) => ({ key: `experts.${i}.lora_B.weight`, rows })),
  }),
  scale: (own, { alpha, rank, scale }) => alpha / (scale === 'per-expert' ? own : rank),
});
