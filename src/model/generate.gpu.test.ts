// Generation with a cache gives what the whole forward pass gives, whatever the batch mates;
// sampling is seeded and obeys top-p.
import { expect } from 'vitest';
import { greedy } from '../reference/sample.ts';
import { test } from '../testing/fixtures.ts';
import { forwardLogits } from './forward.ts';
import { generate } from './generate.ts';

const ANSWERS: [string, string?][] = [['train-moe'], ['qwen3'], ['train-moe', 'gpu']];

for (const [name, kernels] of ANSWERS) {
  const title = `${name}${kernels ? `, ${kernels} kernels` : ''}`;
  test(`${title}: greedy answers of prompts of unequal length equal the argmax of the whole forward pass`, async ({
    load,
    adapted,
  }) => {
    const { model, layout } =
      name === 'train-moe'
        ? await adapted(name, kernels)
        : { model: await load(name, kernels), layout: null };
    const prompts = [
      [5, 9, 3],
      [7],
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
    ];
    const answers = await generate(model, layout, prompts, {
      maxNewTokens: 6,
      stopIds: [],
    });
    for (const [r, prompt] of prompts.entries()) {
      const ids = [...prompt];
      for (const id of answers[r]) {
        const logits = await forwardLogits(model, layout, [ids]);
        expect(greedy(logits.subarray((ids.length - 1) * model.config.vocab))).toBe(id);
        ids.push(id);
      }
      expect(answers[r].length).toBe(6);
      const alone = await generate(model, layout, [prompt], {
        maxNewTokens: 6,
        stopIds: [answers[r][2]],
      });
      expect(alone[0]).toEqual(answers[r].slice(0, answers[r].indexOf(answers[r][2]) + 1));
    }
  });
}

test('the context limit is named', async ({ load }) => {
  const model = await load('llama-tied');
  await expect(
    generate(model, null, [[1, 2, 3]], { maxNewTokens: 1_000_000, stopIds: [] }),
  ).rejects.toThrow(/context of \d+/);
});

test('tokens chosen a few at a time are those chosen one at a time; a seed repeats', async ({
  adapted,
}) => {
  const { model, layout } = await adapted('train-moe');
  const prompts = [[5, 9, 3], [7]];
  const answer = (seed: number, alone: boolean) =>
    generate(model, layout, prompts, {
      ...{ maxNewTokens: 40, temperature: 0.9, topP: 0.95, seed, stopIds: [] },
      onLogits: alone ? (logits) => expect(logits.every(Number.isFinite)).toBe(true) : undefined,
    });
  const [together, apart] = [await answer(1, false), await answer(1, true)];
  expect(together.map((ids) => ids.length)).toEqual([40, 40]);
  expect(apart).toEqual(together);
  expect(await answer(2, true)).not.toEqual(together);
});
