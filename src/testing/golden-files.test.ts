// The committed goldens through the readers: model folders, a run's settings, allocation, data, and
// its learning rates and token counts.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allocationLimits } from '../adapters/methods/methods.ts';
import { parseAllocation } from '../allocation/files.ts';
import { fileSource, folderSource } from '../cli/files.ts';
import { BatchOrder } from '../data/batching/batches.ts';
import { trainedCount } from '../data/dataset/example.ts';
import { readDataset } from '../data/dataset/formats.ts';
import { loadTokenizer } from '../data/text/tokenizer.ts';
import { openCheckpoint } from '../data/weights/checkpoint-folder.ts';
import { readF32 } from '../data/weights/safetensors.ts';
import { parseModelConfig } from '../model/config.ts';
import { parseTrainingConfig } from '../settings/run-config.ts';
import { learningRate } from '../train/schedule.ts';

const golden = join(import.meta.dirname, 'golden');
const models = readdirSync(golden).filter((d) =>
  readdirSync(join(golden, d)).includes('config.json'),
);
const json = (...path: string[]): unknown =>
  JSON.parse(readFileSync(join(golden, ...path), 'utf8'));

test('there are goldens', () => expect(models.length).toBeGreaterThan(8));

test.each(models)('model folder %s: config and tensors agree', async (name) => {
  const config = parseModelConfig(json(name, 'config.json'), name);
  const tensors = await openCheckpoint(folderSource(join(golden, name)));
  expect(tensors.get('model.embed_tokens.weight')?.shape).toEqual([config.vocab, config.hidden]);
  expect(tensors.get('model.layers.0.self_attn.q_proj.weight')?.shape).toEqual([
    config.heads * config.headDim,
    config.hidden,
  ]);
  expect(tensors.get('model.layers.0.self_attn.k_proj.weight')?.shape).toEqual([
    config.kvHeads * config.headDim,
    config.hidden,
  ]);
  expect(tensors.has('model.layers.0.self_attn.q_proj.bias')).toBe(config.qkvBias);
  expect(tensors.has('model.layers.0.self_attn.o_proj.bias')).toBe(config.outputBias);
  expect(tensors.has('model.layers.0.mlp.up_proj.bias')).toBe(config.mlpBias);
  expect(tensors.has('model.layers.0.self_attn.q_norm.weight')).toBe(config.qkNorm);
  expect(tensors.has(`model.layers.${config.layers - 1}.mlp.up_proj.weight`)).toBe(true);
  expect(tensors.has(`model.layers.${config.layers}.mlp.up_proj.weight`)).toBe(false);
  const norm = await readF32(tensors.get('model.norm.weight')!);
  expect(norm.every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
});

test.each(['train-moe', 'train-lora'])(
  'run %s: settings, allocation, learning rate and tokens of every step',
  async (name) => {
    const run = parseTrainingConfig(json(name, 'run.json'), 'run.json');
    const model = parseModelConfig(json(name, 'config.json'), name);
    if (typeof run.allocation !== 'string') {
      const { experts, ranks } = parseAllocation(
        {
          experts: json(name, run.allocation.experts!),
          ranks: json(name, run.allocation.ranks),
        },
        allocationLimits(run.adapter, model.layers),
      );
      expect(Object.values(experts).reduce((a, b) => a + b, 0)).toBe(Object.keys(ranks).length);
    }
    const { examples, bad } = await readDataset([fileSource(join(golden, name, 'data.jsonl'))], {
      tokenizer: null,
      vocab: model.vocab,
      data: run.data,
    });
    expect(bad).toEqual([]);
    const order = new BatchOrder(examples.length, run.train.batch, run.data.shuffle, run.seed);
    const steps = json(name, 'run.golden.json') as {
      lr: number;
      tokens: number;
      loss_tokens: number;
    }[];
    expect(steps.length).toBe(run.train.steps);
    for (const [s, { lr, tokens, loss_tokens }] of steps.entries()) {
      expect(learningRate(run.train, s, run.train.steps)).toBeCloseTo(lr, 12);
      const rows = [...order.rows(s)].map((i) => examples[i]);
      expect(rows.reduce((n, e) => n + e.ids.length, 0)).toBe(tokens);
      expect(rows.reduce((n, e) => n + trainedCount(e.labels), 0)).toBe(loss_tokens);
    }
  },
);

test('the demo: every row of its data is used, and its answers end the turn', async () => {
  const demo = join(import.meta.dirname, '../../public/demo');
  const tokenizer = await loadTokenizer(folderSource(demo));
  const data = parseTrainingConfig({}, 'defaults').data;
  for (const file of ['train.jsonl', 'heldout.jsonl']) {
    const { examples, bad, truncated } = await readDataset([fileSource(join(demo, file))], {
      tokenizer,
      vocab: tokenizer.vocabSize,
      data,
    });
    expect([bad, truncated]).toEqual([[], 0]);
    expect(examples.length).toBeGreaterThan(100);
    for (const e of examples) {
      expect(tokenizer.endOfTurnIds).toContain(e.answerIds[e.answerIds.length - 1]);
      expect(tokenizer.decode(e.answerIds, { skipSpecial: true }).trim()).toBe(e.answer?.trim());
    }
  }
});
