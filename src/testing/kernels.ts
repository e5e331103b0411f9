// Every kernel that there is, by recording the programs of small models.
import { recordPrograms } from '../bench/programs.ts';
import { DEMO_SHAPE } from '../bench/search.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { imagined } from '../gpu/variants.ts';
import type { Dtype } from '../graph/tensor.ts';
import type { ModelConfig } from '../model/config.ts';
import { symbolicWeights } from '../model/weights.ts';
import { families } from '../ops/families.ts';
import { parseRunConfig } from '../settings/run-config.ts';
import { blockTypes } from './blocks.ts';

const even: ModelConfig = {
  ...DEMO_SHAPE,
  layers: 1,
  hidden: 256,
  heads: 8,
  kvHeads: 4,
  headDim: 32,
  feedForward: 512,
  qkvBias: true,
  qkNorm: true,
};
const odd = { ...even, hidden: 30, heads: 3, kvHeads: 1, headDim: 10, feedForward: 42, vocab: 131 };
const models: [ModelConfig, Dtype[]][] = [
  [even, ['f32', 'f16', 'bf16', ...blockTypes]],
  [odd, ['f32', 'f16', 'bf16']],
];
const settings = [
  {
    adapter: { experts: 3, rank: 4, dropout: 0.1 },
    search: { order: 'second-order', budget: 0.5 },
  },
  { adapter: { method: 'lora', rank: 3 } },
  { adapter: { method: 'lora', rank: 3 }, search: {} },
] as const;

/** Each variant of each family in turn. */
const choices = families.flatMap(({ name, variants }) =>
  variants.map((v) => imagined({ [name]: v.name })),
);

/** The kernels of training, search and answers: in every variant, for every type of weights. */
export function launchedKernels(): Map<string, Kernel> {
  const launched = new Map<string, Kernel>();
  for (const [config, types] of models)
    for (const type of types)
      for (const variants of choices)
        for (const run of settings) {
          const weights = symbolicWeights(config, () => type);
          const model = { config, weights, variants };
          for (const { commands } of recordPrograms(model, parseRunConfig(run, ''), 48).values())
            for (const c of commands)
              if (c.type === 'dispatch') launched.set(c.kernel.name, c.kernel);
        }
  return launched;
}
