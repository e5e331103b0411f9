// What a model with or without an adapter makes of a dataset: loss, perplexity, and exact match of greedy answers.
import type { AdapterLayout } from '../adapters/layout.ts';
import type { Example } from '../data/example.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { generate } from '../model/generate.ts';
import type { LoadedModel } from '../model/load.ts';
import { shapeOf } from './run-rows.ts';
import { Runtime } from './runtime.ts';
import { meanLoss } from './session.ts';

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
}

/** Options of an evaluation. */
export interface EvaluateOptions {
  microBatch?: number;
  onProgress?: (task: string, done: number, total: number) => void;
}

/** The answer in text, up to its end-of-turn token. */
export function answerText(ids: readonly number[], tokenizer: Tokenizer): string {
  const end = ids.findIndex((id) => tokenizer.endOfTurnIds.includes(id));
  return tokenizer.decode(end < 0 ? ids : ids.slice(0, end), { skipSpecial: true }).trim();
}

/**
 * Greedy answers, and whether each equals the row's: as trimmed text up to the end-of-turn token, or, for pre-tokenised rows, id by id.
 * Rows without an answer (plain text) are left out.
 */
export async function exactMatches(
  model: LoadedModel,
  layout: AdapterLayout | null,
  examples: readonly Example[],
  tokenizer: Tokenizer | null,
  onProgress?: (done: number, total: number) => void,
): Promise<{ example: Example; answer: string | null; ids: number[]; correct: boolean }[]> {
  const rows = examples.filter((e) => e.answerIds.length > 0 && e.promptIds.length > 0);
  const results: { example: Example; answer: string | null; ids: number[]; correct: boolean }[] = [];
  // Neighbours in length together, so that short answers do not wait for long ones.
  const order = [...rows].sort((a, b) => a.answerIds.length - b.answerIds.length);
  const size = 64;
  for (let at = 0; at < order.length; at += size) {
    const part = order.slice(at, at + size);
    // One token more than the longest answer tells an answer that goes on from one that ends.
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
      results.push({ example, answer: text, ids: answers[i], correct: text !== null ? text === example.answer?.trim() : exact });
    });
    onProgress?.(Math.min(order.length, at + size), order.length);
  }
  return results;
}

/** Loss, perplexity and exact match of examples. */
export async function evaluateExamples(
  model: LoadedModel,
  layout: AdapterLayout | null,
  examples: readonly Example[],
  tokenizer: Tokenizer | null,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const shape = shapeOf(examples, Math.min(options.microBatch ?? 16, examples.length));
  const runtime = await Runtime.create(model, layout, shape, { dropout: false, evaluateOnly: true });
  const loss = await meanLoss(runtime, examples, (done, of) => options.onProgress?.('Evaluating', done, of)).finally(() =>
    runtime.destroy(),
  );
  const matches = await exactMatches(model, layout, examples, tokenizer, (done, of) => options.onProgress?.('Answering', done, of));
  const correct = matches.filter((m) => m.correct).length;
  return {
    loss,
    perplexity: Math.exp(loss),
    rows: examples.length,
    answered: matches.length,
    correct,
    exactMatch: matches.length > 0 ? correct / matches.length : null,
  };
}
