// The real SmolLM2-135M-Instruct from its GGUF file, in Node and in the browser alike: answers,
// perplexity, training steps, beside PyTorch's.

import { initialValues } from '../../src/adapters/init.ts';
import { layoutAdapter } from '../../src/adapters/layout.ts';
import { siteDims } from '../../src/allocation/allocation.ts';
import { readDataset } from '../../src/data/dataset/formats.ts';
import { bytesSource } from '../../src/data/source.ts';
import { loadTokenizer } from '../../src/data/text/tokenizer.ts';
import { storeTensors, tensorFile } from '../../src/files/adapter-files.ts';
import { createGpu } from '../../src/gpu/device.ts';
import { generate } from '../../src/model/generate.ts';
import { loadModel, readModelConfig } from '../../src/model/load.ts';
import { resolveAllocation } from '../../src/settings/resolve-allocation.ts';
import { parseTrainingConfig } from '../../src/settings/run-config.ts';
import { alike } from '../../src/train/batch.ts';
import { answerText, meanLoss } from '../../src/train/evaluate.ts';
import { run } from '../../src/train/run.ts';
import { shapeOf } from '../../src/train/run-rows.ts';
import { Runtime } from '../../src/train/runtime.ts';

/**
 * What PyTorch answered, what was asked, and the held-out text: the files of
 * src/testing/golden/smollm2.
 * @typedef {object} Task
 * @property {Golden} golden
 * @property {Questions} questions
 * @property {string} heldOut
 *
 * @typedef {object} Golden
 * @property {{ prompt_ids: number[], ids: number[], text: string }[]} answers
 * @property {{ perplexity: number, predicted: number, ids: string }} heldOut
 * @property {{ rows: { input_ids: number[], labels: number[] }[], steps: { loss: number }[] }} training
 * @property {string} init
 *
 * @typedef {object} Questions
 * @property {unknown} run
 * @property {string[]} prompts
 * @property {number} newTokens
 * @property {{ rows: number, tokens: number }} heldOut
 * @property {unknown[]} data
 *
 * @typedef {import('../../src/data/source.ts').Folder} Folder
 * @typedef {import('../../src/data/text/tokenizer.ts').Tokenizer} Tokenizer
 * @typedef {import('../../src/model/load.ts').LoadedModel} LoadedModel
 * @typedef {(message: string) => void} Say
 */

const sha = async (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => {
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, '0')).join('');
};
const bytesOf = (/** @type {string} */ text) => new TextEncoder().encode(text);
/**
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 */
const same = (a, b) => a.length === b.length && Array.prototype.every.call(a, (v, i) => v === b[i]);

/**
 * The adapter that the run starts from, as a safetensors file; needs no GPU.
 * @param {Folder} folder
 * @param {Task} task
 */
export async function initialAdapter(folder, { questions }) {
  const config = parseTrainingConfig(questions.run, 'questions.json');
  const model = await readModelConfig(folder);
  const layout = layoutAdapter(
    { ...config.adapter, allocation: resolveAllocation(config, model) },
    model.layers,
    siteDims(model),
  );
  return tensorFile(storeTensors(layout, initialValues(layout, config.seed)));
}

/**
 * Greedy answers of all prompts.
 * @param {LoadedModel} model
 * @param {Tokenizer} tokenizer
 * @param {Task} task
 */
async function answers(model, tokenizer, { questions, golden }) {
  const { template } = tokenizer;
  if (!template) throw new Error('the file has no chat template');
  const prompts = questions.prompts.map((content) =>
    tokenizer.encode(template([{ role: 'user', content }], true)),
  );
  const stopIds = tokenizer.endOfTurnIds;
  const found = await generate(model, null, prompts, {
    maxNewTokens: questions.newTokens,
    stopIds,
  });
  return golden.answers.map((want, i) => ({
    prompt: questions.prompts[i],
    text: answerText(found[i], tokenizer),
    expected: want.text,
    equal:
      same(prompts[i], want.prompt_ids) &&
      same(found[i], want.ids) &&
      answerText(found[i], tokenizer) === want.text,
  }));
}

/**
 * Perplexity of the held-out text, in rows that each stand alone.
 * @param {LoadedModel} model
 * @param {Tokenizer} tokenizer
 * @param {Task} task
 * @param {Say} say
 */
async function perplexity(model, tokenizer, { questions, golden, heldOut }, say) {
  const { rows, tokens } = questions.heldOut;
  const ids = tokenizer.encode(heldOut).slice(0, rows * tokens);
  const table = Array.from({ length: rows }, (_, r) => ids.slice(r * tokens, (r + 1) * tokens)).map(
    (row) => ({ ids: row, labels: row }),
  );
  const runtime = await Runtime.create(model, null, alike(shapeOf(table, 1)), {
    dropout: false,
    evaluateOnly: true,
  });
  const loss = await meanLoss(runtime, table, (done, of) =>
    say(`held-out text: ${done} of ${of}`),
  ).finally(() => runtime.destroy());
  const value = Math.exp(loss);
  const expected = golden.heldOut.perplexity;
  const idsEqual = (await sha(bytesOf(ids.join(' ')))) === golden.heldOut.ids;
  return {
    predicted: golden.heldOut.predicted,
    idsEqual,
    value,
    expected,
    relativeError: Math.abs(value / expected - 1),
  };
}

/**
 * Training steps from the initial adapter of the run's seed.
 * @param {LoadedModel} model
 * @param {Folder} folder
 * @param {Tokenizer} tokenizer
 * @param {Task} task
 * @param {Say} say
 */
async function training(model, folder, tokenizer, task, say) {
  const { questions, golden } = task;
  const config = parseTrainingConfig(questions.run, 'questions.json');
  const file = bytesSource(
    bytesOf(questions.data.map((row) => JSON.stringify(row)).join('\n')),
    'data.jsonl',
  );
  const { examples } = await readDataset([file], {
    tokenizer,
    vocab: model.config.vocab,
    data: config.data,
  });
  const rows = golden.training.rows;
  const rowsEqual =
    examples.length === rows.length &&
    examples.every((e, i) => same(e.ids, rows[i].input_ids) && same(e.labels, rows[i].labels));
  const initEqual = (await sha(await initialAdapter(folder, task))) === golden.init;
  /** @type {number[]} */
  const losses = [];
  for await (const event of run({ model, rows: examples, config })) {
    if (event.type === 'step') {
      const { step, loss, seconds } = event.metrics;
      losses.push(loss);
      say(`step ${step}: loss ${loss.toFixed(6)}, ${seconds.toFixed(0)} s`);
    }
    if (event.type === 'trained') event.stage.layout.store.destroy();
  }
  const expected = golden.training.steps.map((s) => s.loss);
  return {
    rowsEqual,
    initEqual,
    losses,
    expected,
    worstError: Math.max(...expected.map((v, i) => Math.abs(v - losses[i]))),
  };
}

/**
 * All figures, each beside its limit.
 * @param {GPU | undefined} provider
 * @param {Folder} folder
 * @param {Task} task
 * @param {Say} say
 */
export async function smollm2Figures(provider, folder, task, say) {
  const started = performance.now();
  const gpu = await createGpu(provider);
  const tokenizer = await loadTokenizer(folder);
  const model = await loadModel(gpu, folder);
  say(
    `${gpu.name}, products "${model.variants.names.product}": loaded after ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
  const texts = await answers(model, tokenizer, task);
  for (const { text, equal } of texts) say(`${equal ? 'equal' : 'DIFFERENT'}: ${text}`);
  const heldOut = await perplexity(model, tokenizer, task, say);
  const steps = await training(model, folder, tokenizer, task, say);
  gpu.check();
  const limits = { perplexity: 1e-3, loss: 1e-3 };
  const passed =
    texts.every((t) => t.equal) &&
    heldOut.idsEqual &&
    heldOut.relativeError <= limits.perplexity &&
    steps.rowsEqual &&
    steps.initEqual &&
    steps.losses.length === steps.expected.length &&
    steps.worstError <= limits.loss;
  const seconds = (performance.now() - started) / 1000;
  return {
    passed,
    device: gpu.name,
    kernels: model.variants.names,
    seconds,
    answers: texts,
    heldOut,
    training: steps,
    limits,
  };
}
