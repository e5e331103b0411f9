// A comparison as it goes: which runs are left, each done once, the learning rates chosen, the table kept up to date.
import { createHash } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Allocation } from '../../adapters/allocation.ts';
import type { Example } from '../../data/example.ts';
import type { Folder } from '../../data/source.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { TrainingConfig } from '../../train/config.ts';
import { RunControl } from '../../train/control.ts';
import { InputError } from '../../util/error.ts';
import { readAllocation } from '../inputs.ts';
import type { Progress } from '../progress.ts';
import type { Method, Plan } from './plan.ts';
import { ResultLog } from './results.ts';
import { runOnce } from './run-once.ts';
import { shuffleLayers } from './shuffle.ts';
import { spread } from './statistics.ts';
import { type Edge, type MethodResults, type TableRow, tableMarkdown, tableRows } from './table.ts';

/** SHA-256 of files, read in pieces. */
export async function hashFiles(
  sources: readonly { size: number; read(start: number, end: number): Promise<Uint8Array> }[],
): Promise<string> {
  const hash = createHash('sha256');
  const piece = 1 << 24;
  for (const source of sources) {
    hash.update(`${source.size} `);
    for (let at = 0; at < source.size; at += piece) hash.update(await source.read(at, Math.min(source.size, at + piece)));
  }
  return hash.digest('hex');
}

/** The files of a model folder that decide what the model does. */
export const modelFiles = (folder: Folder) =>
  folder.files
    .filter((name) => /^(config\.json|tokenizer.*\.json|.*\.jinja|.*\.safetensors|.*\.safetensors\.index\.json)$/.test(name))
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

interface Task {
  method: Method;
  stage: 'tune' | 'final';
  seed: number;
  learningRate: number;
}

/** Refuses an --out that no folder can be. */
export function checkOutFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) throw new InputError('bad-option', `--out ${path}: this is a file, not a folder.`);
}

/** A comparison over one folder of results. */
export class Comparison {
  readonly control = new RunControl();
  private readonly log: ResultLog;
  /** Micro-steps to do from now on, and done. */
  private total = 0;
  private done = 0;

  constructor(private readonly input: ComparisonInput) {
    mkdirSync(input.out, { recursive: true });
    this.log = new ResultLog(join(input.out, 'results.jsonl'), (text) => input.progress.note(text));
  }

  /** Does all runs that are not there yet. @returns the table's rows, or null where it was stopped */
  async run(): Promise<TableRow[] | null> {
    const { plan, progress } = this.input;
    this.total = await this.work();
    const left = this.total;
    progress.note(left === 0 ? 'All runs are there already.' : `${left} micro-steps of training are to be done.`);
    for (const method of plan.methods) {
      for (const task of this.tuneTasks(method)) if (!(await this.ensure(task))) return null;
      const chosen = (await this.choose(method))!;
      if (plan.learningRates.length > 1)
        progress.note(`${method.name}: learning rate ${chosen.rate}${chosen.edge ? `, the ${chosen.edge} of the grid` : ''}`);
      for (const seed of plan.seeds) if (!(await this.ensure({ method, stage: 'final', seed, learningRate: chosen.rate }))) return null;
      this.write(await this.rows());
    }
    return this.rows();
  }

  private tuneTasks(method: Method): Task[] {
    const { learningRates, tuneSeeds } = this.input.plan;
    if (learningRates.length === 1) return [];
    return learningRates.flatMap((learningRate) => tuneSeeds.map((seed) => ({ method, stage: 'tune' as const, seed, learningRate })));
  }

  /** The rate with the lowest mean validation loss of the tuning runs (of equals the lower one); null while they are not all there. */
  private async choose(method: Method): Promise<{ rate: number; edge: Edge } | null> {
    const { learningRates } = this.input.plan;
    if (learningRates.length === 1) return { rate: learningRates[0], edge: null };
    const losses = new Map<number, number[]>(learningRates.map((rate) => [rate, []]));
    for (const task of this.tuneTasks(method)) {
      const loss = (await this.find(task))?.validationLoss;
      if (loss === null || loss === undefined) return null;
      losses.get(task.learningRate)!.push(loss);
    }
    const means = learningRates.map((rate) => spread(losses.get(rate)!).mean);
    const best = means.indexOf(Math.min(...means));
    return { rate: learningRates[best], edge: best === 0 ? 'lowest' : best === learningRates.length - 1 ? 'highest' : null };
  }

  private async find(task: Task) {
    return this.log.get(await this.key(task));
  }

  private async key({ method, stage, seed, learningRate }: Task) {
    const config = method.config(seed, learningRate);
    const decides = JSON.stringify([config, await this.sizes(method, config), method.shuffled, this.input.files]);
    return { stage, method: method.name, seed, learningRate, hash: createHash('sha256').update(decides).digest('hex').slice(0, 16) };
  }

  /** The allocation before its layers are permuted. */
  private sizes(_method: Method, config: TrainingConfig): Promise<Allocation> {
    return readAllocation(config, this.input.planPath, this.input.model.config);
  }

  private microSteps(task: Task): number {
    const { train } = task.method.config(task.seed, task.learningRate);
    return (train.steps * train.batch) / train.microBatch;
  }

  /** Micro-steps of all runs that are not there. */
  private async work(): Promise<number> {
    const { plan } = this.input;
    let sum = 0;
    for (const method of plan.methods) {
      const rate = (await this.choose(method))?.rate;
      const tasks = this.tuneTasks(method);
      for (const seed of plan.seeds) tasks.push({ method, stage: 'final', seed, learningRate: rate ?? plan.learningRates[0] });
      for (const task of tasks)
        if ((task.stage === 'final' && rate === undefined) || !(await this.find(task))) sum += this.microSteps(task);
    }
    return sum;
  }

  /** Does a run unless its result is there. False where it was stopped. */
  private async ensure(task: Task): Promise<boolean> {
    const { method, stage, seed, learningRate } = task;
    const { model, rows, heldOut, progress } = this.input;
    const key = await this.key(task);
    if (this.log.get(key)) return true;
    if (this.control.stopped) return false;
    const config = method.config(seed, learningRate);
    const perStep = config.train.batch / config.train.microBatch;
    const before = this.done;
    const what = `${method.name}, ${stage === 'tune' ? 'tuning ' : ''}seed ${seed}, learning rate ${learningRate}`;
    const figures = await runOnce({
      model,
      rows,
      config,
      allocation: await this.allocation(method, config),
      heldOut: stage === 'final' ? heldOut : null,
      control: this.control,
      onStep: (step, _, loss) => {
        this.done = before + step * perStep;
        progress.update('Comparing: micro-step', this.done, this.total, `${what}: loss ${loss.toFixed(3)}`);
      },
    });
    if (!figures) return false;
    this.log.append({ ...key, ...figures, device: model.gpu.name, kernels: { ...model.variants } });
    const { exactMatch, loss, validationLoss } = figures;
    const shown = [exactMatch !== null && `exact match ${exactMatch.toFixed(3)}`, loss !== null && `loss ${loss.toFixed(3)}`];
    if (stage === 'tune') shown.push(`validation loss ${validationLoss?.toFixed(3)}`);
    progress.note(`${what}: ${shown.filter((s) => s).join(', ')}`);
    return true;
  }

  private async allocation(method: Method, config: TrainingConfig): Promise<Allocation> {
    const sizes = await this.sizes(method, config);
    return method.shuffled ? shuffleLayers(sizes, this.input.model.config.layers, config.adapter.targets, config.seed) : sizes;
  }

  private async rows(): Promise<TableRow[]> {
    const { plan } = this.input;
    const all: MethodResults[] = [];
    for (const method of plan.methods) {
      const chosen = await this.choose(method);
      if (!chosen) continue;
      const found = await Promise.all(plan.seeds.map((seed) => this.find({ method, stage: 'final', seed, learningRate: chosen.rate })));
      all.push({ name: method.name, learningRate: chosen.rate, edge: chosen.edge, results: found.filter((r) => r !== undefined) });
    }
    return tableRows(all, plan.baseline);
  }

  /** Writes table.md. */
  private write(rows: readonly TableRow[]): void {
    const { out, plan, command } = this.input;
    writeFileSync(join(out, 'table.md'), `${tableMarkdown(rows, plan.baseline)}\n\nMade by:\n\n    ${command}\n`);
  }
}
