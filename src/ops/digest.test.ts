// A digest of every kernel's text, so that a refactor shows which kernels it changed. Where a
// change is meant: npx vitest run --project unit src/ops/digest -u
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { recordPrograms } from '../bench/programs.ts';
import { DEMO_SHAPE } from '../bench/search.ts';
import { type Kernel, knownKernels } from '../gpu/kernel.ts';
import type { Dtype } from '../graph/tensor.ts';
import type { ModelConfig } from '../model/config.ts';
import { symbolicWeights } from '../model/weights.ts';
import { parseRunConfig } from '../settings/run-config.ts';
import { blockTypes } from '../testing/blocks.ts';

/** The hash of a kernel's text without comments and layout. */
function digest({ code, constants }: Kernel): string {
  const plain = code
    .replace(/\/\/.*/g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([^\w ]) ?/g, '$1')
    .replace(/,([)}])/g, '$1');
  const hash = createHash('sha256').update(`${JSON.stringify(constants)} ${plain}`);
  return hash.digest('hex').slice(0, 12);
}

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
] as const;

test('no kernel has changed', async () => {
  for (const [config, types] of models)
    for (const type of types)
      for (const product of ['subgroup', 'register', 'tile'] as const)
        for (const run of settings)
          recordPrograms(
            {
              config,
              weights: symbolicWeights(config, () => type),
              variants: { product, rows: 'thread' },
            },
            parseRunConfig(run, 'run.json'),
            48,
          );
  const lines = [...knownKernels.values()].map((k) => `${digest(k)} ${k.name}`);
  const sorted = lines.sort((a, b) => (a.slice(13) < b.slice(13) ? -1 : 1));
  await expect(`${sorted.join('\n')}\n`).toMatchFileSnapshot('kernels.digest.txt');
});
