// An adapter from files: those of its folder, or one zip as it is exported here.
import { unzipSync } from 'fflate';
import { type AdapterLayout, countParameters } from '../../adapters/layout.ts';
import { siteDims } from '../../allocation/allocation.ts';
import { blobSource, bytesSource, type Folder, folderOf, readAll } from '../../data/source.ts';
import { ADAPTER_FILES, readAdapter } from '../../files/adapter-files.ts';
import type { ModelConfig } from '../../model/config.ts';
import { parseRunConfig, type RunConfig } from '../../settings/run-config.ts';
import { InputError, isInputError } from '../../util/error.ts';
import type { AdapterReport } from '../protocol/api.ts';

/** An opened adapter; `settings` decide which rows were set aside for validation. */
export interface OpenedAdapter {
  layout: AdapterLayout;
  values: Float32Array<ArrayBuffer>;
  settings: Pick<RunConfig, 'data' | 'seed'>;
  report: AdapterReport;
}

const settingsFile = 'config.json';
const wanted = [ADAPTER_FILES.config, ADAPTER_FILES.weights, settingsFile] as readonly string[];
const last = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/**
 * Reads an adapter for a model.
 * @throws InputError where files are missing or broken, or made for another base model
 */
export async function openAdapter(
  files: readonly File[],
  model: { name: string; config: ModelConfig },
): Promise<OpenedAdapter> {
  const zip = files.find((f) => /\.zip$/i.test(f.name));
  const folder = zip
    ? await zipFolder(zip)
    : folderOf(
        'adapter',
        files.map((f) => blobSource(f, f.name)),
      );
  const { layout, values, config } = await readAdapter(
    folder,
    model.config.layers,
    siteDims(model.config),
  ).catch(async (error) => {
    throw await naming(error, folder, model.name);
  });
  const settings = await settingsOf(folder);
  const base = String(config.base_model_name_or_path ?? '');
  const { method } = layout.spec;
  const report = {
    name: zip?.name ?? ADAPTER_FILES.weights,
    method,
    parameters: countParameters(layout),
    base,
    validation: settings.data.validation,
  };
  return { layout, values, settings, report };
}

async function zipFolder(zip: File): Promise<Folder> {
  const bytes = new Uint8Array(await zip.arrayBuffer());
  try {
    const contents = Object.entries(
      unzipSync(bytes, { filter: ({ name }) => wanted.includes(last(name)) }),
    );
    const sources = contents.map(([path, data]) =>
      bytesSource(data as Uint8Array<ArrayBuffer>, last(path)),
    );
    return folderOf(zip.name, sources);
  } catch (error) {
    throw new InputError(
      'bad-file',
      `${zip.name}: it cannot be unpacked (${error instanceof Error ? error.message : String(error)}).`,
    );
  }
}

/** What is wrong with the adapter, with the base model that it names where that is not this one. */
async function naming(error: unknown, folder: Folder, model: string): Promise<unknown> {
  if (!isInputError(error)) return error;
  const json = await jsonOf(folder, ADAPTER_FILES.config);
  const base = json?.base_model_name_or_path;
  if (typeof base !== 'string' || base === model) return error;
  return new InputError(
    'bad-adapter',
    `${error.message} It was made for the base model “${base}”; the model here is “${model}”.`,
  );
}

/** Settings of the run that made the adapter, as far as they are there. */
async function settingsOf(folder: Folder): Promise<OpenedAdapter['settings']> {
  const json = await jsonOf(folder, settingsFile);
  try {
    return parseRunConfig({ seed: json?.seed, data: json?.data }, settingsFile);
  } catch (error) {
    // some other program's config.json
    if (isInputError(error)) return parseRunConfig({}, settingsFile);
    throw error;
  }
}

async function jsonOf(folder: Folder, name: string): Promise<Record<string, unknown> | null> {
  const source = folder.open(name);
  if (!source) return null;
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(await readAll(source)));
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
