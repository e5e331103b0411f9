// An adapter as a zip, opened again and compared with what is on the device before anyone gets it.
import { strToU8, unzipSync, type Zippable, zipSync } from 'fflate';
import type { AdapterLayout } from '../../adapters/layout.ts';
import { type Allocation, siteDims } from '../../allocation/allocation.ts';
import { bytesSource, folderOf } from '../../data/source.ts';
import { adapterFiles, extract, readAdapter } from '../../files/adapter-files.ts';
import { allocationFiles, SEARCH_FILES } from '../../files/search-files.ts';
import type { LoadedModel } from '../../model/load.ts';
import { type RunConfig, runJson } from '../../settings/run-config.ts';
import { invariant } from '../../util/error.ts';
import type { ExportReport } from '../protocol/api.ts';

/** What goes into the zip. */
export interface Package {
  model: Pick<LoadedModel, 'name' | 'config' | 'variants'>;
  layout: AdapterLayout;
  /** The store as read from the device. */
  values: Float32Array;
  config: RunConfig;
  /** Lines of metrics.jsonl. */
  metrics: readonly object[];
  step: number;
  /** What was trained with after a search, and gsv.jsonl of the search; null without one. */
  allocation: Allocation | null;
  history: string | null;
}

const folder = 'adapter/';

/**
 * adapter/adapter_model.safetensors, adapter/adapter_config.json, config.json and metrics.jsonl;
 * after a search also allocation/expert.json, allocation/rank.json and gsv.jsonl. Throws when it
 * does not read back equal.
 */
export async function packageAdapter({
  model,
  layout,
  values,
  config,
  metrics,
  step,
  allocation,
  history,
}: Package): Promise<ExportReport> {
  const contents: Record<string, Uint8Array> = {};
  for (const [name, data] of Object.entries(
    adapterFiles(layout, values as Float32Array<ArrayBuffer>, model.name),
  ))
    contents[folder + name] = data;
  contents['config.json'] = strToU8(
    `${JSON.stringify({ ...runJson(config), model: model.name, kernels: model.variants.names, stepsDone: step }, null, 2)}\n`,
  );
  contents['metrics.jsonl'] = strToU8(metrics.map((line) => `${JSON.stringify(line)}\n`).join(''));
  if (allocation)
    for (const [name, text] of Object.entries(allocationFiles(layout.method.sizes, allocation)))
      contents[name] = strToU8(text);
  if (history !== null) contents[SEARCH_FILES.history] = strToU8(history);
  const zippable: Zippable = Object.fromEntries(
    Object.entries(contents).map(([name, data]) => [
      name,
      [data, { level: name.endsWith('.safetensors') ? 0 : 6 }],
    ]),
  );
  const zip = zipSync(zippable) as Uint8Array<ArrayBuffer>;
  const tensors = await compare(zip, model, layout, values);
  const files = Object.entries(contents).map(([name, data]) => ({ name, bytes: data.length }));
  return {
    name: `${fileName(model.name)}-${config.adapter.method}.zip`,
    zip,
    files,
    tensors,
    step,
  };
}

const fileName = (text: string) =>
  text.replace(/[^\w.-]+/g, '-').replace(/^[-.]+|-+$/g, '') || 'model';

/**
 * Opens the zip as a stranger would; returns how many tensors are equal bit by bit: all of them, or
 * it throws.
 */
async function compare(
  zip: Uint8Array,
  model: Package['model'],
  layout: AdapterLayout,
  values: Float32Array,
): Promise<number> {
  const opened = Object.entries(unzipSync(zip)).filter(([name]) => name.startsWith(folder));
  const sources = opened.map(([name, data]) =>
    bytesSource(data as Uint8Array<ArrayBuffer>, name.slice(folder.length)),
  );
  const back = await readAdapter(
    folderOf('zip', sources),
    model.config.layers,
    siteDims(model.config),
  );
  const wanted = layout.tensors;
  const found = new Map(back.layout.tensors.map((t) => [t.name, t]));
  invariant(
    found.size === wanted.length,
    `the zip holds ${found.size} tensors of ${wanted.length}`,
  );
  for (const t of wanted) {
    const other = found.get(t.name);
    invariant(other, `the zip has no tensor ${t.name}`);
    const [a, b] = [extract(t, values), extract(other, back.values)].map(
      (v) => new Uint32Array(v.buffer),
    );
    invariant(
      a.length === b.length && a.every((bits, i) => bits === b[i]),
      `the tensor ${t.name} of the zip differs from the one on the device`,
    );
  }
  return wanted.length;
}
