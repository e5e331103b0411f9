// Plain LoRA (Hu et al. 2022, arXiv 2106.09685): y = x·W0ᵀ + α/R · dropout(x)·Aᵀ·Bᵀ.
import { defineMethod } from '../shape.ts';

export const lora = defineMethod({
  name: 'lora',
  order: 2,
  title: 'Plain LoRA',
  about: 'plain LoRA',
  help: 'One pair of low-rank matrices in every linear.',
  settings: {},
  allocated: false,
  routed: false,
  file: { type: 'LORA' },
  stored: ({ ranks: [rank] }) => ({
    dropped: [{ key: 'lora_A.weight', rows: rank }],
    plain: [],
    up: [{ key: 'lora_B.weight', rows: rank }],
  }),
  scale: (rank, { alpha }) => alpha / rank,
});
