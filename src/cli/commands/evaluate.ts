// evaluate: loss, perplexity, exact match of greedy answers and likelihood of choices on a dataset.

import { leftOut } from '../../data/dataset/dataset.ts';
import { defaultRunConfig } from '../../settings/run-config.ts';
import { evaluateExamples } from '../../train/evaluate.ts';
import { taskInWords } from '../../util/task.ts';
import { command } from '../command.ts';
import {
  checkAdapter,
  checkModel,
  openData,
  openModel,
  placeAdapter,
  readRunConfig,
  shared,
} from '../inputs.ts';
import { flag, required } from '../options.ts';

export const evaluate = command({
  name: 'evaluate',
  summary: 'measure loss, perplexity and exact match of a model, with an adapter or without',
  details: `From run.json, only the settings under "data" and train.microBatch are used. Exact match: the greedy answer up to its end-of-turn
token, trimmed, equals the completion, trimmed; for pre-tokenised rows the greedy ids equal the trained ones. Questions with choices: the
choice of the highest log-likelihood after the question, summed over its tokens, and per token. --json also counts the rows that were left
out, by kind: empty, not-json, too-long and others.`,
  options: {
    model: required(shared.model),
    adapter: shared.adapter,
    data: shared.data,
    config: shared.config,
    json: flag('one line of JSON'),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const { io, progress } = context;
    const config = await readRunConfig(o.config);
    const model = await checkModel(o.model);
    const adapter = await checkAdapter(o.adapter, model);
    const { dataset, tokenizer } = await openData(context, model, o.data, config.data);
    const loaded = await openModel(context, model, o.kernels);
    const result = await evaluateExamples(
      loaded,
      placeAdapter(loaded, adapter),
      dataset.examples,
      tokenizer,
      {
        microBatch: (config.train || defaultRunConfig().train).microBatch,
        onProgress: (task, done, total) => progress.update(taskInWords[task], done, total),
      },
    );
    progress.clear();
    const { loss, perplexity, exactMatch, correct, answered, rows, choices } = result;
    if (o.json) {
      const figures = { loss, perplexity, exactMatch, correct, answered, rows };
      const data = { tokens: dataset.trainedTokens, leftOut: leftOut(dataset) };
      io.out(`${JSON.stringify({ ...figures, ...data, ...(choices && { choices }) })}\n`);
      return 0;
    }
    const share =
      exactMatch === null
        ? 'no row has an answer'
        : `${(100 * exactMatch).toFixed(1)} % (${correct} of ${answered})`;
    io.out(
      `loss         ${loss.toFixed(6)}\nperplexity   ${perplexity.toFixed(4)}\nexact match  ${share}\n`,
    );
    if (choices) {
      const of = (n: number) =>
        `${((100 * n) / choices.questions).toFixed(1)} % (${n} of ${choices.questions})`;
      io.out(
        `choices      ${of(choices.correct)}, by likelihood per token ${of(choices.correctPerToken)}\n`,
      );
    }
    io.out(`rows         ${rows}\n`);
    return 0;
  },
});
