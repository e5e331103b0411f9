// Plain LoRA (Hu et al. 2022, arXiv 2106.09685): y = x·W0ᵀ + α/R · dropout(x)·Aᵀ·Bᵀ, R being the
// configured rank also where a site's own is lower (method §6).
import { defineMethod } from '../shape.ts';

export const lora = defineMethod({
  name: 'lora',
  order: 2,
  title: 'Plain LoRA',
  about: 'plain LoRA',
  help: 'One pair of low-rank matrices in every linear.',
  settings: {},
  sizes: 'rank',
  estimators: ['survival'],
  routed: false,
  file: { type: 'LORA' },
  stored: ({ ranks: [rank] }) => ({
    dropped: [{ key: 'lora_A.weight', rows: rank }],
    plain: [],
    up: [{ key: 'lora_B.weight', rows: rank }],
  }),
  scale: (_, { alpha, rank }) => alpha / rank,
});
