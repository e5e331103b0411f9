// Rows as the data worker hands them over: for training, and for checking answers and choices.
import type { AdapterLayout } from '../../adapters/layout.ts';
import type { Example } from '../../data/dataset/example.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { Row } from '../../train/batch.ts';
import { argmax, choiceScores, exactMatches } from '../../train/evaluate.ts';
import { InputError } from '../../util/error.ts';
import type { HeldOutReport } from '../protocol/api.ts';
import type { HeldOutRow, TrainingData } from '../protocol/data-port.ts';

const shownRows = 12;
/** Choices weighed at a time. */
const weighed = 16;

/**
 * Views of the rows that were handed over end to end.
 * @throws InputError for a row that is longer than the model's context
 */
export function rowsOf({ ids, labels, starts, files }: TrainingData, maxPositions: number): Row[] {
  const names = files.flatMap(({ name, examples }) => new Array<string>(examples).fill(name));
  return Array.from({ length: starts.length - 1 }, (_, i) => {
    const [from, to] = [starts[i], starts[i + 1]];
    if (to - from > maxPositions) {
      throw new InputError(
        'bad-data',
        `A row has ${to - from} tokens, more than the model's context of ${maxPositions}: read the data with a max length of ${maxPositions} or less.`,
      );
    }
    return { ids: ids.subarray(from, to), labels: labels.subarray(from, to), file: names[i] };
  });
}

/**
 * Greedy answers to held-out rows, and the likeliest choice where they have choices: how many are
 * right, and the first of them to show.
 */
export async function answerHeldOut(check: {
  model: LoadedModel;
  layout: AdapterLayout | null;
  tokenizer: Tokenizer | null;
  rows: readonly HeldOutRow[];
  /** May throw to stop. */
  onProgress(done: number, total: number, task: 'answering' | 'choices'): void;
}): Promise<Pick<HeldOutReport, 'rows' | 'exact' | 'shown' | 'choices'>> {
  const { model, layout, tokenizer, rows, onProgress } = check;
  const examples = rows.map(
    ({ promptIds, answer, answerIds }, i): Example => ({
      ids: promptIds,
      labels: promptIds,
      promptIds,
      answer,
      answerIds,
      file: '',
      line: i + 1,
      truncated: false,
    }),
  );
  const results = await exactMatches(model, layout, examples, tokenizer, (done, total) =>
    onProgress(done, total, 'answering'),
  );
  const byLine = new Map(results.map((r) => [r.example.line, r]));
  const questions = rows.flatMap((row) => (row.choices ? [row.choices] : []));
  const options = questions.map((q) => q.options);
  const scores =
    questions.length === 0
      ? []
      : await choiceScores(model, layout, options, weighed, (done, total) =>
          onProgress(done, total, 'choices'),
        );
  const picks = new Map(
    questions.map((q, i) => {
      const pick = argmax(scores[i].sums);
      return [q, { text: q.texts[pick], right: pick === q.correct }];
    }),
  );
  const shown = rows.slice(0, shownRows).map(({ prompt, expected, answerIds, choices }, i) => {
    const { answer, ids, correct } = byLine.get(i + 1)!;
    return {
      prompt,
      expected,
      answer: answer ?? ids.slice(0, answerIds.length).join(' '),
      exact: correct,
      picked: choices && picks.get(choices)!,
    };
  });
  const rated =
    questions.length === 0
      ? null
      : { questions: questions.length, right: [...picks.values()].filter((p) => p.right).length };
  return {
    rows: results.length,
    exact: results.filter((r) => r.correct).length,
    shown,
    choices: rated,
  };
}
