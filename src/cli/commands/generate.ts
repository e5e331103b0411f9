// generate: the answer of a model, with an adapter or without, to one prompt.
import { questionIds } from '../../data/text/question.ts';
import { loadTokenizer } from '../../data/text/tokenizer.ts';
import type { ModelConfig } from '../../model/config.ts';
import { generate as generateIds } from '../../model/generate.ts';
import { answerText } from '../../train/evaluate.ts';
import { InputError } from '../../util/error.ts';
import { command } from '../command.ts';
import { checkAdapter, checkModel, openModel, placeAdapter, shared } from '../inputs.ts';
import { decimal, flag, required, text, whole } from '../options.ts';

/** New tokens where --max-new-tokens does not say, as far as the context allows. */
const NEW_TOKENS = 128;

export const generate = command({
  name: 'generate',
  summary: 'answer a prompt',
  details: 'Only the answer is written to stdout.',
  options: {
    model: required(shared.model),
    adapter: shared.adapter,
    prompt: required(
      text('TEXT', "one user turn, rendered with the model's chat template where it has one"),
    ),
    system: text('TEXT', 'system message before it'),
    raw: flag('use the prompt as it is, without the template'),
    maxNewTokens: whole(
      `maximum length of the answer in tokens; ${NEW_TOKENS} by default`,
      1,
      1_000_000,
    ),
    temperature: decimal('T', '0, the default, is greedy', 0, 100),
    topP: decimal(
      'P',
      'sample from the likeliest tokens that make up this share; 1 by default',
      0,
      1,
    ),
    seed: whole('seed of the sampling; 1 by default', 0, Number.MAX_SAFE_INTEGER),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const model = await checkModel(o.model);
    const adapter = await checkAdapter(o.adapter, model);
    const tokenizer = await loadTokenizer(model.folder);
    const ids = checkedIds(
      questionIds(o.prompt, { system: o.system ?? null, raw: o.raw }, tokenizer),
      model.config,
    );
    const room = model.config.maxPositions - ids.length;
    if (room < (o.maxNewTokens ?? 1)) {
      const wanted = o.maxNewTokens === undefined ? '' : ` with --max-new-tokens ${o.maxNewTokens}`;
      throw new InputError(
        'bad-option',
        `The prompt's ${ids.length} tokens${wanted} exceed the model's context of ${model.config.maxPositions}.`,
      );
    }
    const maxNewTokens = o.maxNewTokens ?? Math.min(NEW_TOKENS, room);
    const loaded = await openModel(context, model, o.kernels);
    const stopIds = [...new Set([...tokenizer.endOfTurnIds, ...model.config.eosIds])];
    let made = 0;
    const [answer] = await generateIds(loaded, placeAdapter(loaded, adapter), [ids], {
      maxNewTokens,
      temperature: o.temperature,
      topP: o.topP,
      seed: o.seed,
      stopIds,
      onToken: () => context.progress.update('Answering: token', ++made, maxNewTokens),
    });
    context.progress.clear();
    const end = answer.findIndex((id) => stopIds.includes(id));
    context.io.out(`${answerText(end < 0 ? answer : answer.slice(0, end), tokenizer)}\n`);
    return 0;
  },
});

function checkedIds(ids: number[], { vocab }: ModelConfig): number[] {
  if (ids.length === 0) throw new InputError('bad-option', '--prompt has no tokens.');
  const outside = ids.find((id) => id >= vocab);
  if (outside !== undefined)
    throw new InputError(
      'bad-tokenizer',
      `tokenizer.json gives the token id ${outside}, but the model's vocabulary is 0 to ${vocab - 1}.`,
    );
  return ids;
}
