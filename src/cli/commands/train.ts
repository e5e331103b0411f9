// train: fine-tunes an adapter and writes its files, the settings and the metrics.
import { dirname } from 'node:path';
import { type Allocation, siteDims } from '../../adapters/allocation.ts';
import { type AdapterLayout, layoutAdapter } from '../../adapters/layout.ts';
import { BatchOrder, splitValidation } from '../../data/batches.ts';
import { openSafetensors } from '../../data/safetensors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { storeValues } from '../../train/adapter-files.ts';
import type { RunConfig } from '../../train/config.ts';
import type { RunInput } from '../../train/session.ts';
import { command } from '../command.ts';
import { fileSource } from '../files.ts';
import { checkModel, openData, openModel, readAllocation, readRunConfig, shared } from '../inputs.ts';
import { flag, required, text, texts } from '../options.ts';
import { RunFolder } from '../outputs.ts';
import { trainRun } from '../training.ts';

export const train = command({
  name: 'train',
  summary: 'fine-tune a LoRA or LoRA-MoE adapter',
  details: `DIR gets config.json (every setting, the experts and ranks that they came to, and the kernels used), metrics.jsonl (one line a step) and adapter/.
Ctrl-C stops after the step and keeps what was trained; the exit code is then 130.
docs/run.schema.json lists the settings of run.json.`,
  options: {
    model: required(shared.model),
    data: required(texts('FILE', 'datasets: .jsonl, .json, .csv, .tsv, .txt, .md')),
    out: required(text('DIR', 'folder for the results; new or empty')),
    config: shared.config,
    init: text('FILE', "adapter tensors to start from (.safetensors), in the adapter files' own names"),
    force: flag('write over the former run in --out'),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    const folder = new RunFolder(o.out, o.force);
    const config = await readRunConfig(o.config);
    const model = await checkModel(o.model);
    const allocation = await readAllocation(config, o.config, model.config);
    const init = o.init === undefined ? undefined : await initialTensors(o.init, config, model.config, allocation);
    const { dataset } = await openData(context, model, o.data, config.data);
    checkBatches(dataset.examples.length, config);
    const loaded = await openModel(context, model, o.kernels);
    const input: RunInput = { model: loaded, rows: dataset.examples, config, allocation, init };
    const { stopped } = await trainRun(context, input, folder, o.config === undefined ? '.' : dirname(o.config));
    return stopped ? 130 : 0;
  },
});

/** The values of --init, read and checked now; the run's own layout puts them in the same places. */
async function initialTensors(
  path: string,
  { adapter }: RunConfig,
  model: ModelConfig,
  allocation: Allocation,
): Promise<(layout: AdapterLayout) => Promise<Float32Array<ArrayBuffer>>> {
  const { entries } = await openSafetensors(fileSource(path));
  const values = await storeValues(layoutAdapter({ ...adapter, allocation }, model.layers, siteDims(model)), entries, path);
  return async () => values;
}

/** Refuses what the run would refuse, before the model is loaded. */
function checkBatches(rows: number, { data, train: { batch }, seed }: RunConfig): void {
  const split = splitValidation(rows, data.validation, data.shuffle, seed);
  new BatchOrder(split.train.length, batch, data.shuffle, seed);
}
