// Rows of thousands of tokens.
import { expect } from 'vitest';
import type { Example } from '../data/dataset/example.ts';
import { test } from '../testing/fixtures.ts';
import { evaluateExamples } from './evaluate.ts';

const TOKENS = 4096;
/** By transformers in float64: `model(input_ids, labels=input_ids).loss` on these ids. */
const PYTORCH = 6.2317399978637695;

test.for([undefined, 'gpu'])(
  'the loss of one row of 4,096 tokens is PyTorch’s, kernels: %s',
  async (kernels, { load }) => {
    const model = await load('train-moe', kernels);
    const { vocab } = model.config;
    const ids = Array.from({ length: TOKENS }, (_, i) => (7919 * i * i + 13 * i) % vocab);
    const row: Example = {
      ids: Int32Array.from(ids),
      labels: Int32Array.from(ids),
      promptIds: Int32Array.of(),
      answer: null,
      answerIds: Int32Array.of(),
      file: 'long',
      line: 1,
      truncated: false,
    };
    const { loss } = await evaluateExamples(model, null, [row], null, { microBatch: 1 });
    expect(Math.abs(loss / PYTORCH - 1)).toBeLessThan(1e-6);
  },
);
