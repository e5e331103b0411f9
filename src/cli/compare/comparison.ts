// A comparison as it goes: which runs are left, each done once, the learning rates chosen, the
// table kept up to date.
import { createHash } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Allocation } from '../../allocation/allocation.ts';
import type { Example } from '../../data/dataset/example.ts';
import type { Folder } from '../../data/source.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { LoadedModel } from '../../model/load.ts';
import { resolveAllocation } from '../../settings/resolve-allocation.ts';
import {
  defaultRunConfig,
  type SearchConfig,
  searches,
  type TrainingConfig,
} from '../../settings/run-config.ts';
import { RunControl } from '../../train/control.ts';
import { InputError, invariant } from '../../util/error.ts';
import { readAllocation } from '../inputs.ts';
import { duration, type Progress } from '../progress.ts';
import { digest, settingsOf } from './identity.ts';
import type { Method, Plan } from './plan.ts';
import { type Result, ResultLog } from './results.ts';
import { runOnce } from './run-once.ts';
import { type FoundAllocation, SearchFolder, type SearchKey } from './searches.ts';
import { shuffleLayers } from './shuffle.ts';
import { choose, type Evidence, summarise, type Task, tuneTasks } from './summary.ts';
import { type Table, tableMarkdown } from './table.ts';

/** SHA-256 of files, read in pieces. */
export async function hashFiles(
  sources: readonly { size: number; read(start: number, end: number): Promise<Uint8Array> }[],
): Promise<string> {
  const hash = createHash('sha256');
  const piece = 1 << 24;
  for (const source of sources) {
    hash.update(`${source.size} `);
    for (let at = 0; at < source.size; at += piece)
      hash.update(await source.read(at, Math.min(source.size, at + piece)));
  }
  return hash.digest('hex');
}

/** The files of a model folder that decide what the model does. */
export const modelFiles = (folder: Folder) =>
  folder.files
    .filter((name) =>
      /^(config\.json|tokenizer.*\.json|.*\.jinja|.*\.safetensors|.*\.safetensors\.index\.json)$/.test(
        name,
      ),
    )
    .sort()
    .map((name) => folder.open(name)!);

/** Everything that a comparison works with. */
export interface ComparisonInput {
  plan: Plan;
  /** The plan's file, which paths in it are relative to. */
  planPath: string;
  /** The folder of the results. */
  out: string;
  /** The command line that makes the table again. */
  command: string;
  model: LoadedModel;
  rows: readonly Example[];
  heldOut: { examples: readonly Example[]; tokenizer: Tokenizer | null };
  /** Hash of model and data files. */
  files: string;
  progress: Progress;
}

/**
 * A search step, which goes through all experts at their full rank, in micro-steps of a final
 * training: a rough measure for the time left.
 */
const SEARCH_STEP = { 'first-order': 4, 'second-order': 10 } as const;

/** Refuses an --out that no folder can be. */
export function checkOutFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isDirectory())
    throw new InputError('bad-option', `--out ${path}: this is a file, not a folder.`);
}

/** A comparison over one folder of results. */
export class Comparison implements Evidence {
  readonly control = new RunControl();
  private readonly log: ResultLog;
  private readonly searched: SearchFolder;
  /** Work to do from now on, and done, about in micro-steps. */
  private total = 0;
  private done = 0;

  constructor(private readonly input: ComparisonInput) {
    mkdirSync(input.out, { recursive: true });
    this.log = new ResultLog(join(input.out, 'results.jsonl'), (text) => input.progress.note(text));
    this.searched = new SearchFolder(join(input.out, 'allocations'), input.model);
  }

  /** Does all runs that are not there yet. @returns the table, or null where it was stopped */
  async run(): Promise<Table | null> {
    const { plan, progress } = this.input;
    this.total = await this.work();
    if (this.total === 0) progress.note('All runs are finished already.');
    for (const method of plan.methods) {
      for (const task of tuneTasks(plan, method)) if (!(await this.ensure(task))) return null;
      const chosen = (await choose(plan, this, method))!;
      if (plan.learningRates.length > 1)
        progress.note(
          `${method.name}: learning rate ${chosen.rate}${chosen.edge ? `, the ${chosen.edge} of the grid` : ''}`,
        );
      for (const seed of plan.seeds)
        if (!(await this.ensure({ method, stage: 'final', seed, learningRate: chosen.rate })))
          return null;
      this.write(await this.table());
    }
    return this.table();
  }

  /** The result of a run that was done. */
  async find(task: Task): Promise<Result | undefined> {
    return this.log.get(await this.key(task));
  }

  /** What a method's search found with a seed, where it was done. */
  kept(method: Method, seed: number): Promise<FoundAllocation | null> {
    const { key, config } = this.search(method, seed);
    return this.searched.read(key, config);
  }

  private async key({ method, stage, seed, learningRate }: Task) {
    const config = method.config(seed, learningRate);
    const sizes = searches(config) ? null : await this.named(config);
    return {
      stage,
      method: method.name,
      seed,
      learningRate,
      hash: digest([settingsOf(config), sizes, method.shuffled, this.input.files]),
    };
  }

  /** The allocation of settings without a search. */
  private named(config: TrainingConfig): Promise<Allocation> {
    return readAllocation(config, this.input.planPath, this.input.model.config);
  }

  /**
   * A method's search with a seed: neither the training that follows nor its size is part of it.
   */
  private search(method: Method, seed: number): { key: SearchKey; config: SearchConfig } {
    const config = method.config(seed, this.input.plan.learningRates[0]);
    invariant(searches(config), `${method.name} has no search`);
    const own = settingsOf({
      ...config,
      train: defaultRunConfig().train,
      adapter: { ...config.adapter, parameters: null },
    });
    const hash = digest([own, this.input.files]);
    const slug = this.input.plan.methods.find((m) => m.name === method.origin)!.slug;
    return { key: { slug, seed, hash }, config };
  }

  /**
   * What a method's search found with a seed, searched now unless it was before; null where that
   * was stopped.
   */
  private async found(method: Method, seed: number): Promise<FoundAllocation | null> {
    const there = await this.kept(method, seed);
    if (there) return there;
    const { key, config } = this.search(method, seed);
    const before = this.done;
    const found = await this.searched.search(
      key,
      this.input.rows,
      config,
      this.control,
      (step, of, loss) => {
        this.done = before + step * SEARCH_STEP[config.search.order];
        this.report(
          `${method.origin}, seed ${seed}, search step ${step} of ${of}: upper loss ${loss.toFixed(3)}`,
        );
      },
    );
    if (found) {
      const { seconds, parameters } = found.record;
      this.input.progress.note(
        `${method.origin}, seed ${seed}: an allocation of ${parameters} parameters, found in ${duration(seconds)}`,
      );
    }
    return found;
  }

  private report(what: string): void {
    this.input.progress.update('Comparing: about', this.done, this.total, what);
  }

  private microSteps(task: Task): number {
    const { train } = task.method.config(task.seed, task.learningRate);
    return (train.steps * train.batch) / train.microBatch;
  }

  /** Work of all runs and searches that are not there. */
  private async work(): Promise<number> {
    const { plan } = this.input;
    const searchesLeft = new Map<string, number>();
    let sum = 0;
    for (const method of plan.methods) {
      const rate = (await choose(plan, this, method))?.rate;
      const tasks = tuneTasks(plan, method);
      for (const seed of plan.seeds)
        tasks.push({ method, stage: 'final', seed, learningRate: rate ?? plan.learningRates[0] });
      for (const task of tasks) {
        if ((task.stage === 'tune' || rate !== undefined) && (await this.find(task))) continue;
        sum += this.microSteps(task);
        if (!method.searches) continue;
        if (await this.kept(method, task.seed)) continue;
        const { key, config } = this.search(method, task.seed);
        const { order, steps } = config.search;
        searchesLeft.set(`${key.slug} ${key.seed}`, SEARCH_STEP[order] * steps);
      }
    }
    return [...searchesLeft.values()].reduce((a, b) => a + b, sum);
  }

  /** Does a run unless its result is there. False where it was stopped. */
  private async ensure(task: Task): Promise<boolean> {
    const { method, stage, seed, learningRate } = task;
    const { model, rows, heldOut, progress } = this.input;
    const key = await this.key(task);
    if (this.log.get(key)) return true;
    if (this.control.stopped) return false;
    const config = method.config(seed, learningRate);
    const allocation = await this.allocation(method, config);
    if (!allocation) return false;
    const perStep = config.train.batch / config.train.microBatch;
    const before = this.done;
    const what = `${method.name}, ${stage === 'tune' ? 'tuning ' : ''}seed ${seed}, learning rate ${learningRate}`;
    const figures = await runOnce({
      model,
      rows,
      config,
      allocation,
      heldOut: stage === 'final' ? heldOut : null,
      control: this.control,
      onStep: (step, _, loss) => {
        this.done = before + step * perStep;
        this.report(`${what}: loss ${loss.toFixed(3)}`);
      },
    });
    if (!figures) return false;
    this.log.append({
      ...key,
      ...figures,
      device: model.gpu.name,
      kernels: { ...model.variants.names },
    });
    const { exactMatch, loss, validationLoss } = figures;
    const shown = [
      exactMatch !== null && `exact match ${exactMatch.toFixed(3)}`,
      loss !== null && `loss ${loss.toFixed(3)}`,
    ];
    if (stage === 'tune') shown.push(`validation loss ${validationLoss?.toFixed(3)}`);
    progress.note(`${what}: ${shown.filter((s) => s).join(', ')}`);
    return true;
  }

  /** The allocation of a run; null where the search for it was stopped. */
  private async allocation(method: Method, config: TrainingConfig): Promise<Allocation | null> {
    const { layers } = this.input.model.config;
    const found = method.searches ? await this.found(method, config.seed) : null;
    if (method.searches && !found) return null;
    const sizes = found
      ? resolveAllocation(config, this.input.model.config, found.allocation)
      : await this.named(config);
    return method.shuffled
      ? shuffleLayers(sizes, layers, config.adapter.targets, config.seed)
      : sizes;
  }

  private table(): Promise<Table> {
    return summarise(this.input.plan, this);
  }

  /** Writes table.md. */
  private write(table: Table): void {
    const { out, command } = this.input;
    writeFileSync(join(out, 'table.md'), `${tableMarkdown(table)}\n\nMade by:\n\n    ${command}\n`);
  }
}
