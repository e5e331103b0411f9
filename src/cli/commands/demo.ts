// demo: tunes the built-in model on the built-in task, and counts held-out answers before and
// after.
import { join } from 'node:path';
import { countParameters } from '../../adapters/layout.ts';
import { readDataset } from '../../data/dataset/formats.ts';
import { loadTokenizer } from '../../data/text/tokenizer.ts';
import { DEMO_RUN, DEMO_SEARCH_RUN } from '../../settings/demo.ts';
import { parseTrainingConfig } from '../../settings/run-config.ts';
import { exactMatches } from '../../train/evaluate.ts';
import { command } from '../command.ts';
import { demoFolder } from '../demo-folder.ts';
import { fileSource } from '../files.ts';
import { checkModel, openModel, shared } from '../inputs.ts';
import { flag, text } from '../options.ts';
import { RunFolder } from '../outputs.ts';
import { wholeRun } from '../training.ts';

/** Held-out rows whose answers are shown. */
const SHOWN = 5;

export const demo = command({
  name: 'demo',
  summary: 'fine-tune the built-in model on the built-in task',
  details: `The last line on stdout is {"exactMatchBefore", "exactMatchAfter", "steps", "seconds"}: shares of held-out rows answered exactly
by the base model and by the tuned one, and the time of the whole command; with --search also the upper steps and the parameters of the allocation found.`,
  options: {
    json: flag('no answers, only the last line'),
    search: flag('search for an allocation first, then train with it'),
    out: text(
      'DIR',
      'folder for config.json, metrics.jsonl, adapter/ and the results of a search; new or empty',
    ),
    force: flag('overwrite the previous run in --out'),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const { io, progress } = context;
    const started = performance.now();
    const folder = o.out === undefined ? null : new RunFolder(o.out, o.force);
    const config = parseTrainingConfig(o.search ? DEMO_SEARCH_RUN : DEMO_RUN, 'the demo');
    const model = await checkModel(demoFolder);
    const tokenizer = await loadTokenizer(model.folder);
    const read = async (name: string, maxLength: number) => {
      const data = { ...config.data, maxLength };
      return (
        await readDataset([fileSource(join(demoFolder, name))], {
          tokenizer,
          vocab: model.config.vocab,
          data,
        })
      ).examples;
    };
    const rows = await read('train.jsonl', config.data.maxLength);
    const heldOut = await read('heldout.jsonl', model.config.maxPositions);
    const loaded = await openModel(context, model, o.kernels);
    const answers = async (task: string, layout: Parameters<typeof exactMatches>[1]) => {
      const matches = await exactMatches(loaded, layout, heldOut, tokenizer, (done, total) =>
        progress.update(task, done, total),
      );
      const share = matches.filter((m) => m.correct).length / matches.length;
      progress.note(
        `${task}: ${(100 * share).toFixed(1)} % of ${matches.length} held-out answers are exact`,
      );
      return { share, byExample: new Map(matches.map((m) => [m.example, m.answer])) };
    };
    const before = await answers('Before', null);
    folder?.begin(config, '.', loaded);
    const { training, searchSteps, stopped } = await wholeRun(
      context,
      { model: loaded, rows, config },
      folder,
    );
    if (stopped || !training) return 130;
    const after = await answers('After', training.layout);
    if (!o.json) {
      for (const example of heldOut.slice(0, SHOWN)) {
        const prompt = tokenizer
          .decode(example.promptIds, { skipSpecial: true })
          .trim()
          .replaceAll('\n', ' ');
        io.out(`${prompt}\n  expected  ${example.answer}\n`);
        io.out(
          `  before    ${before.byExample.get(example)}\n  after     ${after.byExample.get(example)}\n`,
        );
      }
    }
    const seconds = (performance.now() - started) / 1000;
    const search = searchSteps !== null && {
      searchSteps,
      parameters: countParameters(training.layout),
    };
    io.out(
      `${JSON.stringify({ exactMatchBefore: before.share, exactMatchAfter: after.share, ...search, steps: training.done, seconds })}\n`,
    );
    return 0;
  },
});
