// What commands write: single files, and the folder of a run.
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { type AdapterLayout, countParameters } from '../adapters/layout.ts';
import type { LoadedModel } from '../model/load.ts';
import { adapterFiles } from '../train/adapter-files.ts';
import type { RunConfig } from '../train/config.ts';
import { InputError } from '../util/error.ts';

/** Refuses a path that no file can be written to, before anything is computed. */
export function checkOutputFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new InputError('bad-option', `--out ${path}: this is a folder.`);
  const folder = dirname(resolve(path));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new InputError('bad-option', `--out ${path}: there is no folder ${dirname(path)}.`);
}

/** The folder that `train` writes: config.json, metrics.jsonl, adapter/. */
export class RunFolder {
  private metrics: number | null = null;

  /** @throws InputError where `path` is a file, or a folder with something in it and not `force` */
  constructor(
    readonly path: string,
    private readonly force: boolean,
  ) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isDirectory()) throw new InputError('bad-option', `--out ${path}: this is a file, not a folder.`);
    if (found && !force && readdirSync(path).length > 0)
      throw new InputError('bad-option', `--out ${path}: the folder is not empty; --force writes over a former run.`);
  }

  /** Creates the folder, takes a former run's files away, and writes config.json. `configFolder` is what paths in the settings are relative to. */
  begin(config: RunConfig, configFolder: string, steps: number, model: LoadedModel, layout: AdapterLayout): void {
    if (this.force)
      for (const name of ['config.json', 'metrics.jsonl', 'adapter']) rmSync(join(this.path, name), { recursive: true, force: true });
    mkdirSync(this.path, { recursive: true });
    const moved = (file: string) => (isAbsolute(file) ? file : relative(this.path, resolve(configFolder, file)));
    const { allocation } = config;
    const settings = {
      ...config,
      allocation: typeof allocation === 'string' ? allocation : { experts: moved(allocation.experts), ranks: moved(allocation.ranks) },
      train: { ...config.train, steps },
      parameters: countParameters(layout),
      ...(config.adapter.method === 'lora-moe' && layout.spec.allocation),
      model: model.name,
      device: model.gpu.name,
      kernels: model.variants,
    };
    writeFileSync(join(this.path, 'config.json'), `${JSON.stringify(settings, null, 2)}\n`);
    this.metrics = openSync(join(this.path, 'metrics.jsonl'), 'w');
  }

  /** Adds a line to metrics.jsonl. */
  log(line: object): void {
    if (this.metrics !== null) writeSync(this.metrics, `${JSON.stringify(line)}\n`);
  }

  /** Writes adapter/. */
  save(layout: AdapterLayout, values: Float32Array, base: string): void {
    const folder = join(this.path, 'adapter');
    mkdirSync(folder, { recursive: true });
    for (const [name, bytes] of Object.entries(adapterFiles(layout, values, base))) writeFileSync(join(folder, name), bytes);
  }

  close(): void {
    if (this.metrics !== null) closeSync(this.metrics);
    this.metrics = null;
  }
}
