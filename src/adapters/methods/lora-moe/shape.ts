// LoRA-MoE (method §1): experts of any rank at a site, of which a router keeps the top K per token.
import { z } from 'zod';
import { defineMethod } from '../shape.ts';

export const loraMoe = defineMethod({
  name: 'lora-moe',
  order: 1,
  title: 'Mixture of experts',
  about: 'a mixture of experts',
  help: 'Several LoRA experts in every linear; a router picks the best few for each token.',
  settings: {
    experts: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(8)
      .describe('Experts of every linear (uniform), or the largest number allowed'),
    topK: z.number().int().min(1).max(64).default(2).describe('Experts kept for a token'),
    scale: z
      .enum(['constant', 'per-expert'])
      .default('constant')
      .describe('alpha / rank, or alpha / the rank of each expert'),
    balance: z.number().min(0).default(0.001).describe('Coefficient of the balance loss'),
  },
  allocated: true,
  routed: true,
  file: { type: 'GUILOMO', settings: ['topK', 'scale'] },
  stored: ({ ranks }) => ({
    dropped: ranks.map((rows, i) => ({ key: `experts.${i}.lora_A.weight`, rows })),
    plain: [{ key: 'router.weight', rows: ranks.length }],
    up: ranks.map((rows, i) => ({ key: `experts.${i}.lora_B.weight`, rows })),
  }),
  scale: (own, { alpha, rank, scale }) => alpha / (scale === 'per-expert' ? own : rank),
});
