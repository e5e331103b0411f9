// train: searches an allocation where the settings ask for it, fine-tunes an adapter, and writes
// their files, the settings and the metrics.
import { dirname } from 'node:path';
import { layoutAdapter } from '../../adapters/layout.ts';
import { type Allocation, siteDims } from '../../allocation/allocation.ts';
import { openSafetensors } from '../../data/weights/safetensors.ts';
import { storeValues } from '../../files/adapter-files.ts';
import { searchStateValues } from '../../files/search-files.ts';
import type { ModelConfig } from '../../model/config.ts';
import { settingLines } from '../../settings/catalog.ts';
import { trainedAdapter } from '../../settings/resolve-allocation.ts';
import { type RunConfig, searches } from '../../settings/run-config.ts';
import type { RunInput } from '../../train/run.ts';
import { searchLayout } from '../../train/search/setup.ts';
import { invariant } from '../../util/error.ts';
import { command } from '../command.ts';
import { fileSource } from '../files.ts';
import {
  checkBatches,
  checkMemory,
  checkModel,
  openData,
  openModel,
  readAllocation,
  readRunConfig,
  shared,
  withValidation,
} from '../inputs.ts';
import { flag, required, text } from '../options.ts';
import { RunFolder } from '../outputs.ts';
import { wholeRun } from '../training.ts';

export const train = command({
  name: 'train',
  summary: 'fine-tune a LoRA or LoRA-MoE adapter',
  details: `DIR gets config.json (every setting, the resulting experts and ranks, and the kernels used), metrics.jsonl (one line per step) and adapter/.
With a search also allocation/expert.json and rank.json, gsv.jsonl (all GuidedSelection Vectors after each upper step) and search/state.safetensors.
Ctrl-C stops after the current step and keeps what was trained; the exit code is then 130.

Settings of run.json, their defaults and ranges; docs/settings.md has them as a table, docs/run.schema.json as a JSON Schema:

${settingLines()}`,
  options: {
    model: required(shared.model),
    data: shared.data,
    validation: shared.validation,
    out: required(text('DIR', 'folder for the results; new or empty')),
    config: shared.config,
    init: text(
      'FILE',
      'tensors to start from (.safetensors), named as in adapter files; with a search, tensors of the search',
    ),
    force: flag('overwrite the previous run in --out'),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const folder = new RunFolder(o.out, o.force);
    const { config, paths } = withValidation(await readRunConfig(o.config), o.data, o.validation);
    const model = await checkModel(o.model);
    const allocation = searches(config)
      ? null
      : await readAllocation(config, o.config, model.config);
    const init =
      o.init === undefined
        ? undefined
        : await initialTensors(o.init, config, model.config, allocation);
    const { dataset } = await openData(context, model, paths, config.data);
    checkBatches(dataset.examples, config);
    checkMemory(model, dataset.examples, config, allocation);
    const loaded = await openModel(context, model, o.kernels);
    folder.begin(config, o.config === undefined ? '.' : dirname(o.config), loaded);
    const input = { model: loaded, rows: dataset.examples, config, init };
    const { training, stopped } = await wholeRun(
      context,
      { ...input, allocation: allocation ?? undefined },
      folder,
    );
    context.progress.note(
      `Written: ${o.out}/${training ? 'adapter, ' : ''}${searches(config) ? 'allocation, ' : ''}config.json and metrics.jsonl`,
    );
    return stopped ? 130 : 0;
  },
});

/**
 * The values of --init, read and checked now; the first stage's own layout puts them in the same
 * places.
 */
async function initialTensors(
  path: string,
  config: RunConfig,
  model: ModelConfig,
  allocation: Allocation | null,
): Promise<RunInput['init']> {
  const { entries } = await openSafetensors(fileSource(path));
  if (searches(config)) {
    const values = await searchStateValues(searchLayout(config, model), entries, path);
    return { search: async () => values };
  }
  invariant(allocation, 'a run without a search has its allocation');
  const values = await storeValues(
    layoutAdapter(trainedAdapter(config, allocation), model.layers, siteDims(model)),
    entries,
    path,
  );
  return { train: async () => values };
}
