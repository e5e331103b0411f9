// The trainer worker's work: device, model, the run, answers, export. One thing at a time uses the
// device.
import type { Remote } from 'comlink';
import type { AdapterLayout } from '../../adapters/layout.ts';
import type { Allocation } from '../../allocation/allocation.ts';
import { filesOf, splitRows } from '../../data/batching/split.ts';
import { questionIds } from '../../data/text/question.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import { createGpu, type Gpu } from '../../gpu/device.ts';
import { generate } from '../../model/generate.ts';
import type { LoadedModel } from '../../model/load.ts';
import { parseRunConfig, type RunConfigInput } from '../../settings/run-config.ts';
import { answerText } from '../../train/evaluate.ts';
import { InputError } from '../../util/error.ts';
import { modelFolder } from '../library/folder.ts';
import type {
  AdapterReport,
  CandidateModel,
  DeviceReport,
  ExportReport,
  HeldOutReport,
  MemoryReport,
  ModelReport,
  ModelSide,
  ModelSource,
  Question,
  ShapeVerdict,
} from '../protocol/api.ts';
import type { BenchmarkReport } from '../protocol/benchmark.ts';
import type { DataPortApi } from '../protocol/data-port.ts';
import type { EventSender } from '../protocol/events.ts';
import { failureOf } from '../protocol/failure.ts';
import { benchmark } from './benchmark.ts';
import { browserChoices } from './choices.ts';
import { describeDevice, describeModel } from './describe.ts';
import { loadInStages } from './loading.ts';
import { assessModel, MemoryEstimator } from './memory-estimate.ts';
import { type OpenedAdapter, openAdapter } from './open-adapter.ts';
import { packageAdapter } from './package-adapter.ts';
import { answerHeldOut, rowsOf } from './rows.ts';
import { Run } from './run.ts';

const heldOutAtMost = 128;

class Stopped extends Error {}

/**
 * The tuned model's adapter, and how many optimizer steps it has seen (null: opened from files).
 */
interface Tuned {
  layout: AdapterLayout;
  step: number | null;
}

/** Everything that the page can ask of the device. */
export class Trainer {
  #gpu: Gpu | null = null;
  #failed = false;
  #model: LoadedModel | null = null;
  #tokenizer: Tokenizer | null = null;
  /** The adapter comes from a run, or from files: never both. */
  #run: Run | null = null;
  #opened: OpenedAdapter | null = null;
  #busy: string | null = null;
  #abort: AbortController | null = null;
  #loading: AbortController | null = null;
  #benchmark: AbortController | null = null;
  readonly #estimator: MemoryEstimator;

  constructor(
    private readonly events: EventSender,
    private readonly data: Remote<DataPortApi>,
    private readonly base: string,
  ) {
    this.#estimator = new MemoryEstimator(data);
  }

  /** The device; a new one when the one before has failed, whose model and run are gone with it. */
  async openDevice(): Promise<DeviceReport> {
    if (this.#gpu && this.#failed) {
      this.#gpu.destroy();
      this.#gpu = this.#model = this.#run = this.#opened = null;
      this.#failed = false;
    }
    this.#gpu ??= await createGpu(navigator.gpu);
    this.#gpu.onError = (message) => {
      this.#failed = true;
      this.#fail(new Error(`${message} Load the model again to continue.`));
    };
    return describeDevice(this.#gpu);
  }

  /** Runs `work` alone on the device. @throws InputError while something else does */
  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    const going = this.#busy ?? (this.#run && !this.#run.idle ? 'the run' : null);
    if (going)
      throw new InputError(
        'bad-option',
        `The device is busy with ${going}: wait, pause or stop it first.`,
      );
    this.#busy = what;
    try {
      return await work();
    } finally {
      this.#busy = null;
      this.events.flush();
    }
  }

  #noOpenRun(): void {
    if (this.#run?.open) throw new InputError('bad-option', 'A run is under way: stop it first.');
  }

  /** Null: it was cancelled. The model before is given up only when all of the new one is there. */
  loadModel(source: ModelSource): Promise<ModelReport | null> {
    this.#noOpenRun();
    return this.#alone('loading a model', async () => {
      this.#loading = new AbortController();
      const { signal } = this.#loading;
      await this.openDevice();
      const loaded = await loadInStages(
        this.#gpu!,
        () => modelFolder(source, this.base),
        this.events,
        signal,
      ).catch((error) => {
        if (signal.aborted) return null;
        throw error;
      });
      if (!loaded) return null;
      const { model, tokenizer } = loaded;
      this.#giveUpAdapter();
      this.#model?.memory.destroy();
      this.#model = model;
      this.#tokenizer = tokenizer;
      return describeModel(model, tokenizer);
    });
  }

  cancelLoading(): void {
    this.#loading?.abort();
  }

  #needModel(): LoadedModel {
    if (!this.#model) throw new InputError('bad-option', 'There is no model yet.');
    return this.#model;
  }

  /** Gives up the run that was there, or the opened adapter. */
  #giveUpAdapter(): void {
    this.#run?.destroy();
    this.#opened?.layout.store.destroy();
    this.#run = this.#opened = null;
  }

  async assessModel(model: string | CandidateModel, input: RunConfigInput): Promise<ShapeVerdict> {
    await this.openDevice();
    return assessModel(this.#gpu!, model, input);
  }

  estimateMemory(input: RunConfigInput, reading: number): Promise<MemoryReport> {
    return this.#estimator.estimate(this.#needModel(), input, reading);
  }

  start(input: RunConfigInput): Promise<void> {
    this.#noOpenRun();
    return this.#alone('preparing a run', async () => {
      const model = this.#needModel();
      const config = parseRunConfig(input, 'settings');
      const rows = rowsOf(await this.data.examples(), model.config.maxPositions);
      this.#giveUpAdapter();
      this.#run = await Run.start({
        model,
        rows,
        config,
        events: this.events,
        fail: (error) => this.#fail(error),
      });
    });
  }

  proceed(allocation: Allocation): Promise<void> {
    return this.#alone('preparing the training', () => this.#needRun().proceed(allocation));
  }

  discard(): void {
    this.#needRun().discard();
  }

  #needRun(): Run {
    if (!this.#run) throw new InputError('bad-option', 'There is no run yet: train first.');
    return this.#run;
  }

  #fail(error: unknown): void {
    this.events.send(failureOf(error));
  }

  pause(): void {
    this.#run?.pause();
  }

  resume(): void {
    if (this.#busy)
      throw new InputError(
        'bad-option',
        `The device is busy with ${this.#busy}: wait for that, then resume the run.`,
      );
    this.#run?.resume();
  }

  stop(): void {
    this.#run?.stop();
  }

  loadAdapter(files: readonly File[]): Promise<AdapterReport> {
    this.#noOpenRun();
    return this.#alone('opening an adapter', async () => {
      const model = this.#needModel();
      const opened = await openAdapter(files, model);
      this.#giveUpAdapter();
      opened.layout.store.allocate(model.gpu, opened.values);
      this.#opened = opened;
      return opened.report;
    });
  }

  stopAnswer(): void {
    this.#abort?.abort();
  }

  #tuned(): Tuned {
    if (this.#opened) return { layout: this.#opened.layout, step: null };
    const stage = this.#run?.stage;
    if (!stage || stage.done === 0)
      throw new InputError('bad-option', 'There is no adapter yet: train first.');
    return { layout: stage.layout, step: this.#run!.step };
  }

  answer({ id, prompt, which, system, raw, ...options }: Question): Promise<void> {
    return this.#alone('an answer', async () => {
      const model = this.#needModel();
      const tokenizer = this.#tokenizer;
      if (!tokenizer)
        throw new InputError(
          'missing-file',
          'This model has no tokenizer.json, so it cannot answer text prompts.',
        );
      const layout = which === 'base' ? null : this.#tuned().layout;
      const promptIds = questionIds(prompt, { system, raw }, tokenizer);
      const ids: number[] = [];
      const abort = new AbortController();
      this.#abort = abort;
      const report = (done: boolean) =>
        this.events.send({
          type: 'answer',
          id,
          which,
          text: answerText(ids, tokenizer),
          tokens: ids.length,
          done,
        });
      await generate(model, layout, [promptIds], {
        ...options,
        stopIds: [...tokenizer.endOfTurnIds, ...model.config.eosIds],
        signal: abort.signal,
        onToken: (_, token) => {
          ids.push(token);
          report(false);
        },
      });
      report(true);
    });
  }

  checkHeldOut(which: ModelSide): Promise<HeldOutReport> {
    return this.#alone('held-out rows', async () => {
      const model = this.#needModel();
      const tuned = which === 'base' ? null : this.#tuned();
      const rows = (
        await this.data.heldOut((await this.#validationRows()).slice(0, heldOutAtMost))
      ).slice(0, heldOutAtMost);
      if (rows.length === 0)
        throw new InputError(
          'bad-data',
          'No held-out row has a prompt and an answer to compare with.',
        );
      const abort = new AbortController();
      this.#abort = abort;
      const onProgress = (done: number, total: number, task: 'answering' | 'choices') => {
        if (abort.signal.aborted) throw new Stopped();
        this.events.send({
          type: 'progress',
          task,
          done,
          total,
          unit: task === 'answering' ? 'rows' : 'choices',
        });
      };
      onProgress(0, rows.length, 'answering');
      const found = await answerHeldOut({
        model,
        layout: tuned?.layout ?? null,
        rows,
        tokenizer: this.#tokenizer,
        onProgress,
      }).catch((error) => {
        if (error instanceof Stopped)
          throw new InputError('bad-option', 'The check of held-out rows was stopped.');
        throw error;
      });
      return { which, step: tuned ? tuned.step : 0, ...found };
    });
  }

  /** Rows set aside by the run, or by the run that made the opened adapter. */
  async #validationRows(): Promise<Int32Array<ArrayBuffer>> {
    if (!this.#opened) return this.#needRun().split.validation;
    const rows = rowsOf(await this.data.examples(), Number.POSITIVE_INFINITY);
    const { data, seed } = this.#opened.settings;
    return splitRows(filesOf(rows), { ...data, weights: {} }, seed).validation;
  }

  benchmark(named: string): Promise<BenchmarkReport> {
    this.#noOpenRun();
    return this.#alone('the benchmark', () => {
      this.#benchmark = new AbortController();
      return benchmark(navigator.gpu, named, browserChoices, this.#benchmark.signal, (progress) => {
        this.events.send(progress);
        this.events.flush(); // a case may keep the thread for seconds
      });
    });
  }

  cancelBenchmark(): void {
    this.#benchmark?.abort();
  }

  exportAdapter(): Promise<ExportReport> {
    return this.#alone('an export', async () => {
      const model = this.#needModel();
      const run = this.#needRun();
      const { layout } = this.#tuned();
      await run.settled();
      const values = await run.stage!.values();
      const { config, metrics, step, allocation, history } = run;
      return packageAdapter({ model, layout, values, config, metrics, step, allocation, history });
    });
  }
}
