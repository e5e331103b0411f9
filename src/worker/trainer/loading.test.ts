// Which kernels are compiled ahead: all that an answer to a prompt of any length up to 256 tokens
// needs, in every variant.
import { expect, test } from 'vitest';
import { SHAPES } from '../../bench/shapes.ts';
import { kernelKey } from '../../gpu/kernel.ts';
import { imagined } from '../../gpu/variants.ts';
import { recordGeneration } from '../../model/generate.ts';
import { symbolicWeights } from '../../model/weights.ts';
import { parseChoice } from '../../ops/families.ts';
import { answerKernels } from './loading.ts';

const demo = {
  ...SHAPES['smollm2-135m'],
  layers: 2,
  hidden: 128,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  feedForward: 384,
  vocab: 784,
};
const models = {
  demo,
  'a context of 40': { ...demo, maxPositions: 40 },
  'qwen2.5-0.5b': { ...SHAPES['qwen2.5-0.5b'], layers: 2 },
};

for (const [name, config] of Object.entries(models)) {
  test.each(['gpu', 'cpu', 'register'])(`${name}: %s kernels`, (kernels) => {
    const variants = imagined(parseChoice(kernels, 'kernels'));
    const model = { config, weights: symbolicWeights(config, () => 'f16'), variants };
    const ahead = answerKernels(model).map(kernelKey);
    expect(new Set(ahead).size).toBe(ahead.length);
    const used = new Set<string>();
    for (let tokens = 1; tokens <= Math.min(256, config.maxPositions - 1); tokens += 5) {
      const { prefill, decode } = recordGeneration(model, null, 1, tokens, 1);
      for (const c of [...prefill.program.commands, ...decode.program.commands])
        if (c.type === 'dispatch') used.add(kernelKey(c.kernel));
    }
    expect([...used].filter((key) => !ahead.includes(key))).toEqual([]);
    expect(ahead.filter((key) => !used.has(key))).toEqual([]); // and none besides
  });
}
