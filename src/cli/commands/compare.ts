// compare: several methods over several seeds at equal trainable parameters, each at its own
// learning rate.

import { searches } from '../../settings/run-config.ts';
import { command } from '../command.ts';
import { Comparison, checkOutFolder, hashFiles, modelFiles } from '../compare/comparison.ts';
import { parsePlan } from '../compare/plan.ts';
import { tableMarkdown } from '../compare/table.ts';
import { fileSource } from '../files.ts';
import {
  checkBatches,
  checkModel,
  openData,
  openModel,
  readAllocation,
  readJson,
  shared,
} from '../inputs.ts';
import { flag, required, text, texts } from '../options.ts';

const quoted = (word: string): string =>
  /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

export const compare = command({
  name: 'compare',
  summary: 'compare ways of sizing adapters at equal parameters, over seeds',
  details: `The plan is JSON: {"run": run.json of all methods, "methods": {NAME: its changes to run.json, or {"shuffled": NAME}, …}, "seeds": […],
"learningRates": […], "tuneSeeds": [101, 102], "baseline": NAME}. Keys of "run" that do not apply to a method are dropped for it; a method's own keys must apply. With adapter.parameters every allocation is scaled to that many, and plain LoRA
gets the nearest rank. Of several learning rates each method gets the one with the lowest mean validation loss over tuneSeeds; then its seeds
run. {"shuffled": NAME} permutes the layers of another method's allocation by the seed. A method with a search searches once per seed.
DIR gets results.jsonl, one line per finished run, allocations/ with what the searches found, and table.md. Finished runs are not repeated, so the same command resumes after Ctrl-C.`,
  options: {
    model: required(shared.model),
    data: required(texts('FILE', 'datasets to train on')),
    heldOut: required(text('FILE', 'dataset to evaluate on')),
    plan: required(text('FILE', 'plan of the comparison')),
    out: required(text('DIR', 'folder for the results; results already there are kept')),
    json: flag('one line of JSON instead of the table'),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const { io, progress } = context;
    checkOutFolder(o.out);
    const model = await checkModel(o.model);
    const plan = parsePlan(await readJson(o.plan, 'bad-config'), o.plan, model.config);
    const { data } = plan.methods[0].config(plan.seeds[0], plan.learningRates[0]);
    const all = plan.methods.flatMap((m) =>
      [...plan.tuneSeeds, ...plan.seeds].map((seed) => m.config(seed, plan.learningRates[0])),
    );
    for (const config of all)
      if (!searches(config)) await readAllocation(config, o.plan, model.config);
    const { dataset } = await openData(context, model, o.data, data);
    for (const config of all) checkBatches(dataset.examples, config);
    const { dataset: held, tokenizer } = await openData(context, model, [o.heldOut], {
      ...data,
      maxLength: model.config.maxPositions,
    });
    const files = await hashFiles([
      ...modelFiles(model.folder),
      ...[...o.data, o.heldOut].map(fileSource),
    ]);
    const loaded = await openModel(context, model, o.kernels);
    const words = [
      'compare',
      '--model',
      o.model,
      '--data',
      ...o.data,
      '--held-out',
      o.heldOut,
      '--plan',
      o.plan,
      '--out',
      o.out,
    ];
    const line = `npm run cli -- ${[...words, ...(o.kernels ? ['--kernels', o.kernels] : [])].map(quoted).join(' ')}`;
    const heldOut = { examples: held.examples, tokenizer };
    const comparison = new Comparison({
      plan,
      planPath: o.plan,
      out: o.out,
      command: line,
      model: loaded,
      rows: dataset.examples,
      heldOut,
      files,
      progress,
    });
    const release = io.onInterrupt(() => {
      progress.note(
        'Stopping after this step; the same command resumes. Ctrl-C again quits at once.',
      );
      comparison.control.stop();
    });
    const table = await comparison.run().finally(release);
    progress.clear();
    if (!table) return 130;
    io.out(o.json ? `${JSON.stringify(table)}\n` : `${tableMarkdown(table)}\n`);
    return 0;
  },
});
