// What commands write: single files, and the folder of a run.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { type AdapterLayout, countParameters } from '../adapters/layout.ts';
import { allocationJson } from '../allocation/files.ts';
import { adapterFiles } from '../files/adapter-files.ts';
import type { LoadedModel } from '../model/load.ts';
import { inPrecision } from '../ops/families.ts';
import { hasOneRank } from '../settings/resolve-allocation.ts';
import { type RunConfig, runJson, type TrainingConfig } from '../settings/run-config.ts';
import type { MemoryPlan } from '../train/memory/fit.ts';
import { InputError } from '../util/error.ts';

/** Refuses a path that no file can be written to, before anything is computed. */
export function checkOutputFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new InputError('bad-option', `--out ${path}: this is a folder, not a file.`);
  const folder = dirname(resolve(path));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new InputError('bad-option', `--out ${path}: there is no folder ${dirname(path)}.`);
}

/** What a run's folder can hold. */
const RUN_FILES = ['config.json', 'metrics.jsonl', 'gsv.jsonl', 'allocation', 'search', 'adapter'];

/**
 * The folder that `train` writes: config.json, metrics.jsonl, adapter/, and what a search leaves.
 */
export class RunFolder {
  private readonly open = new Map<string, number>();
  private settings: object = {};

  /** @throws InputError where `path` is a file, or a folder with something in it and not `force` */
  constructor(
    readonly path: string,
    private readonly force: boolean,
  ) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isDirectory())
      throw new InputError('bad-option', `--out ${path}: this is a file, not a folder.`);
    if (found && !force && readdirSync(path).length > 0)
      throw new InputError(
        'bad-option',
        `--out ${path}: the folder is not empty; --force overwrites a previous run.`,
      );
  }

  /**
   * Creates the folder, takes a former run's files away, and writes config.json. `configFolder` is
   * what paths in the settings are relative to.
   */
  begin(config: RunConfig, configFolder: string, model: LoadedModel): void {
    const { names: kernels } = inPrecision(model.variants, config.precision);
    if (this.force)
      for (const name of RUN_FILES) rmSync(join(this.path, name), { recursive: true, force: true });
    mkdirSync(this.path, { recursive: true });
    const moved = (file: string) =>
      isAbsolute(file) ? file : relative(this.path, resolve(configFolder, file));
    const { allocation } = config;
    this.settings = {
      ...runJson(config),
      allocation:
        typeof allocation === 'string'
          ? allocation
          : Object.fromEntries(Object.entries(allocation).map(([key, file]) => [key, moved(file)])),
      model: model.name,
      device: model.gpu.name,
      kernels,
    };
    this.write('config.json', `${JSON.stringify(this.settings, null, 2)}\n`);
  }

  /**
   * Adds to config.json what the training came to: its steps, micro-batch and recomputation,
   * parameters, and experts and ranks, or the rank of all sites.
   */
  describe({
    config,
    steps,
    layout,
    choice,
  }: {
    config: TrainingConfig;
    steps: number;
    layout: AdapterLayout;
    choice: MemoryPlan;
  }): void {
    const found = {
      train: { ...config.train, steps, microBatch: choice.microBatch },
      recompute: choice.recompute,
      logitsAtATime: choice.logitsChunkRows,
      parameters: countParameters(layout),
      ...(hasOneRank(config)
        ? { rank: layout.spec.rank }
        : allocationJson(layout.method.sizes, layout.spec.allocation)),
    };
    this.write('config.json', `${JSON.stringify({ ...this.settings, ...found }, null, 2)}\n`);
  }

  /** Adds a line to a file such as metrics.jsonl. */
  log(name: string, line: string): void {
    if (!this.open.has(name)) this.open.set(name, openSync(join(this.path, name), 'w'));
    writeSync(this.open.get(name)!, `${line}\n`);
  }

  /** Writes a file, in a folder of the run's own where its name has one. */
  write(name: string, contents: string | Uint8Array): void {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }

  /** Writes adapter/. */
  save(layout: AdapterLayout, values: Float32Array, base: string): void {
    for (const [name, bytes] of Object.entries(adapterFiles(layout, values, base)))
      this.write(`adapter/${name}`, bytes);
  }

  close(): void {
    for (const file of this.open.values()) closeSync(file);
    this.open.clear();
  }
}
