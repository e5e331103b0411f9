// What a model with or without an adapter makes of a dataset: loss, perplexity, exact match of
// greedy answers, and likelihood of choices.

import type { AdapterLayout } from '../adapters/layout.ts';
import type { Example } from '../data/dataset/example.ts';
import type { Tokenizer } from '../data/text/tokenizer.ts';
import { tooWide } from '../gpu/buffers.ts';
import { widest } from '../graph/plan.ts';
import { generate } from '../model/generate.ts';
import type { LoadedModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import { InputError, invariant } from '../util/error.ts';
import type { Task } from '../util/task.ts';
import { alike, microBatch as layOut, lossTokens, type Row } from './batch.ts';
import { shapeOf } from './run-rows.ts';
import { Runtime, recordTraining } from './runtime.ts';

/** The figures of an evaluation. */
export interface Evaluation {
  /** Mean cross-entropy over all loss-carrying tokens, in nats. */
  loss: number;
  perplexity: number;
  /** Rows evaluated, and those of them that have an answer to match. */
  rows: number;
  answered: number;
  correct: number;
  /** correct / answered; null where no row has an answer. */
  exactMatch: number | null;
  /** Questions answered by the likelihood of their choices; null where no row has choices. */
  choices: ChoiceAccuracy | null;
}

/**
 * How many questions are answered right by the choice of the highest log-likelihood, and by that of
 * the highest one a token.
 */
export interface ChoiceAccuracy {
  questions: number;
  correct: number;
  accuracy: number;
  correctPerToken: number;
  accuracyPerToken: number;
}

/**
 * Log-likelihood of each choice's labelled tokens after what stands before them: their sum, and
 * their mean.
 */
export interface ChoiceScores {
  sums: number[];
  means: number[];
}

/** Options of an evaluation. */
export interface EvaluateOptions {
  microBatch?: number;
  onProgress?: (task: Task, done: number, total: number) => void;
}

/** The answer in text, up to its end-of-turn token. */
export function answerText(ids: readonly number[], tokenizer: Tokenizer): string {
  const end = ids.findIndex((id) => tokenizer.endOfTurnIds.includes(id));
  return tokenizer.decode(end < 0 ? ids : ids.slice(0, end), { skipSpecial: true }).trim();
}

/**
 * Greedy answers, and whether each equals the row's: as trimmed text up to the end-of-turn token,
 * or, for pre-tokenised rows, id by id. Rows without an answer (plain text) are left out.
 */
export async function exactMatches(
  model: LoadedModel,
  layout: AdapterLayout | null,
  examples: readonly Example[],
  tokenizer: Tokenizer | null,
  onProgress?: (done: number, total: number) => void,
): Promise<{ example: Example; answer: string | null; ids: number[]; correct: boolean }[]> {
  const rows = examples.filter((e) => e.answerIds.length > 0 && e.promptIds.length > 0);
  const results: { example: Example; answer: string | null; ids: number[]; correct: boolean }[] =
    [];
  // Neighbours in length together, so that short answers do not wait for long ones.
  const order = [...rows].sort((a, b) => a.answerIds.length - b.answerIds.length);
  const size = 64;
  for (let at = 0; at < order.length; at += size) {
    const part = order.slice(at, at + size);
    // Generate one token beyond the longest answer, to notice answers that should have stopped.
    const maxNewTokens = Math.max(...part.map((e) => e.answerIds.length)) + 1;
    const stopIds = tokenizer ? tokenizer.endOfTurnIds : [];
    const answers = await generate(
      model,
      layout,
      part.map((e) => e.promptIds),
      { maxNewTokens, stopIds },
    );
    part.forEach((example, i) => {
      const text = tokenizer && example.answer !== null ? answerText(answers[i], tokenizer) : null;
      const exact = example.answerIds.every((id, t) => answers[i][t] === id);
      results.push({
        example,
        answer: text,
        ids: answers[i],
        correct: text !== null ? text === example.answer?.trim() : exact,
      });
    });
    onProgress?.(Math.min(order.length, at + size), order.length);
  }
  return results;
}

/**
 * Mean cross-entropy over all loss-carrying tokens of rows, in batches of the runtime's shape.
 * @param onProgress may throw to stop
 */
export async function meanLoss(
  runtime: Runtime,
  rows: readonly Row[],
  onProgress?: (done: number, of: number) => void | Promise<void>,
): Promise<number> {
  const { evaluation } = runtime.shapes;
  const size = evaluation.rows;
  await onProgress?.(0, rows.length);
  let sum = 0;
  let tokens = 0;
  for (let at = 0; at < rows.length; at += size) {
    const batch = layOut(rows.slice(at, at + size), evaluation);
    runtime.evaluate(batch);
    const s = await runtime.readStatistics();
    invariant(s[STATISTICS.tokens] === batch.lossTokens, 'the GPU did not finish an evaluation');
    sum += s[STATISTICS.crossEntropy];
    tokens += batch.lossTokens;
    await onProgress?.(Math.min(rows.length, at + size), rows.length);
  }
  return sum / tokens;
}

/**
 * Evaluates these rows, `microBatch` at a time or what the GPU's bindings hold.
 * @throws InputError where they don't hold one row
 */
async function evaluator(
  model: LoadedModel,
  layout: AdapterLayout | null,
  rows: readonly Row[],
  microBatch: number,
): Promise<Runtime> {
  for (let count = Math.min(microBatch, rows.length); ; count >>= 1) {
    const shape = shapeOf(rows, count);
    const options = { dropout: false, evaluateOnly: true };
    const recording = recordTraining(model, layout, alike(shape), options);
    const bytes = widest(recording.programs.get('evaluate')![0].commands);
    if (bytes <= model.gpu.maxBinding) return new Runtime(model, recording).compile();
    if (count === 1) throw tooWide(`A row of ${shape.seqLen} tokens`, bytes, model.gpu);
  }
}

/**
 * Log-likelihoods of the choices of questions, `microBatch` choices at a time.
 * @param questions choices as rows whose labels mark the choice's tokens
 * @throws InputError for a choice that is longer than the model's context, or carries no label
 */
export async function choiceScores(
  model: LoadedModel,
  layout: AdapterLayout | null,
  questions: readonly (readonly Row[])[],
  microBatch: number,
  onProgress?: (done: number, total: number) => void,
): Promise<ChoiceScores[]> {
  const rows = questions.flat();
  questions.forEach((options, q) => {
    options.forEach((row, i) => {
      const where = `Question ${q + 1}, choice ${i + 1}`;
      if (row.ids.length > model.config.maxPositions)
        throw new InputError(
          'bad-data',
          `${where}: ${row.ids.length} tokens are more than the model's context of ${model.config.maxPositions}.`,
        );
      if (lossTokens(row) === 0)
        throw new InputError('bad-data', `${where}: none of its tokens is labelled.`);
    });
  });
  const runtime = await evaluator(model, layout, rows, microBatch);
  const shape = runtime.shapes.evaluation;
  const sums: number[] = [];
  try {
    for (let at = 0; at < rows.length; at += shape.rows) {
      const part = rows.slice(at, at + shape.rows);
      runtime.evaluate(layOut(part, shape));
      const losses = await runtime.readLosses();
      let first = 0;
      for (const row of part) {
        const count = lossTokens(row);
        sums.push(losses.subarray(first, first + count).reduce((sum, loss) => sum - loss, 0));
        first += count;
      }
      onProgress?.(Math.min(rows.length, at + shape.rows), rows.length);
    }
  } finally {
    runtime.destroy();
  }
  let next = 0;
  return questions.map((options) => {
    const own = sums.slice(next, next + options.length);
    next += options.length;
    return { sums: own, means: own.map((sum, i) => sum / lossTokens(options[i])) };
  });
}

/** The place of the highest number; of equal ones the first. */
export const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));

async function choiceAccuracy(
  model: LoadedModel,
  layout: AdapterLayout | null,
  examples: readonly Example[],
  microBatch: number,
  onProgress?: (done: number, total: number) => void,
): Promise<ChoiceAccuracy | null> {
  const choices = examples.flatMap((e) => (e.choices ? [e.choices] : []));
  if (choices.length === 0) return null;
  const scores = await choiceScores(
    model,
    layout,
    choices.map((c) => c.options),
    microBatch,
    onProgress,
  );
  const right = (by: keyof ChoiceScores) =>
    scores.filter((s, i) => argmax(s[by]) === choices[i].correct).length;
  const [questions, correct, correctPerToken] = [choices.length, right('sums'), right('means')];
  return {
    questions,
    correct,
    accuracy: correct / questions,
    correctPerToken,
    accuracyPerToken: correctPerToken / questions,
  };
}

/** Loss, perplexity, exact match and choices of examples. */
export async function evaluateExamples(
  model: LoadedModel,
  layout: AdapterLayout | null,
  examples: readonly Example[],
  tokenizer: Tokenizer | null,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const microBatch = options.microBatch ?? 16;
  const runtime = await evaluator(model, layout, examples, microBatch);
  const loss = await meanLoss(runtime, examples, (done, of) =>
    options.onProgress?.('evaluating', done, of),
  ).finally(() => runtime.destroy());
  const matches = await exactMatches(model, layout, examples, tokenizer, (done, of) =>
    options.onProgress?.('answering', done, of),
  );
  const correct = matches.filter((m) => m.correct).length;
  const choices = await choiceAccuracy(model, layout, examples, microBatch, (done, of) =>
    options.onProgress?.('choices', done, of),
  );
  return {
    loss,
    perplexity: Math.exp(loss),
    rows: examples.length,
    answered: matches.length,
    correct,
    exactMatch: matches.length > 0 ? correct / matches.length : null,
    choices,
  };
}
