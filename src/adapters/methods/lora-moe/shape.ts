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
      help: 'In every linear, or the most that one may have',
    }),
    topK: setting(count(64).default(2), {
      label: 'Experts per token',
      help: 'Top-k: the experts kept for a token, at most the number of experts',
    }),
    balance: setting(z.number().min(0).default(0.001), {
      label: 'Balance',
      help: 'Coefficient of the balance loss',
    }),
    scale: setting(z.enum(['constant', 'per-expert']).default('constant'), {
      help: 'Alpha / rank for all experts, or alpha / the rank of each',
    }),
  },
  check({ topK, experts }) {
    if (topK > experts) return { topK: `must not be above adapter.experts (${experts})` };
    if (topK > 1 || experts === 1) return {};
    return {
      topK: 'must be 2 or more with several experts: the one kept weight is always 1, so the router would learn nothing',
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
