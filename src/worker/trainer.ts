// The trainer worker's work: device, model, the run, answers, export. One thing at a time uses the device.
import type { Remote } from 'comlink';
import { countParameters } from '../adapters/layout.ts';
import { splitValidation } from '../data/batches.ts';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import { createGpu, type Gpu } from '../gpu/device.ts';
import { generate } from '../model/generate.ts';
import { type LoadedModel, loadModel } from '../model/load.ts';
import { parseTrainingConfig, type RunConfigInput, type TrainingConfig } from '../train/config.ts';
import { RunControl } from '../train/control.ts';
import { answerText } from '../train/evaluate.ts';
import { Session, type StepMetrics, type ValidationMetrics } from '../train/session.ts';
import { InputError, isInputError } from '../util/error.ts';
import type {
  DeviceReport,
  ExportReport,
  HandOverApi,
  HeldOutReport,
  ModelReport,
  ModelSource,
  Question,
  RunReport,
  Which,
} from './api.ts';
import { describeDevice, describeModel } from './describe.ts';
import type { EventSender } from './events.ts';
import { modelFolder } from './folder.ts';
import { packageAdapter } from './package-adapter.ts';
import { answerHeldOut, rowsOf } from './rows.ts';
import { Speed } from './speed.ts';

const heldOutAtMost = 128;

interface Run {
  session: Session;
  config: TrainingConfig;
  control: RunControl;
  metrics: (StepMetrics | ValidationMetrics)[];
  rows: number;
  /** Resolves when the run has ended, well or not. */
  ended: Promise<void>;
  open: boolean;
}

class Stopped extends Error {}

/** Everything that the page can ask of the device. */
export class Trainer {
  #gpu: Gpu | null = null;
  #failed = false;
  #model: LoadedModel | null = null;
  #tokenizer: Tokenizer | null = null;
  #run: Run | null = null;
  #busy: string | null = null;
  #abort: AbortController | null = null;

  constructor(
    private readonly events: EventSender,
    private readonly data: Remote<HandOverApi>,
    private readonly base: string,
  ) {}

  /** The device; a new one when the one before has failed, whose model and run are gone with it. */
  async openDevice(): Promise<DeviceReport> {
    if (this.#gpu && this.#failed) {
      this.#gpu.destroy();
      this.#gpu = this.#model = this.#run = null;
      this.#failed = false;
    }
    this.#gpu ??= await createGpu(navigator.gpu);
    this.#gpu.onError = (message) => {
      this.#failed = true;
      this.#fail(new Error(`${message} Load the model again to go on.`));
    };
    return describeDevice(this.#gpu);
  }

  /** Runs `work` alone on the device. @throws InputError while something else does */
  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    const going = this.#busy ?? (this.#run?.open && !this.#run.control.paused ? 'the run' : null);
    if (going) throw new InputError('bad-option', `The device is busy with ${going}: wait, pause or stop it first.`);
    this.#busy = what;
    try {
      return await work();
    } finally {
      this.#busy = null;
      this.events.flush();
    }
  }

  #noOpenRun(): void {
    if (this.#run?.open) throw new InputError('bad-option', 'A run is going: stop it first.');
  }

  loadModel(source: ModelSource): Promise<ModelReport> {
    this.#noOpenRun();
    return this.#alone('loading a model', async () => {
      await this.openDevice();
      const folder = await modelFolder(source, this.base);
      const tokenizer = folder.open('tokenizer.json') ? await loadTokenizer(folder) : null;
      const onProgress = (done: number, total: number) =>
        this.events.send({ type: 'progress', task: 'Loading weights', done, total, unit: 'bytes' });
      const model = await loadModel(this.#gpu!, folder, { onProgress });
      this.#endRun();
      this.#model?.memory.destroy();
      this.#model = model;
      this.#tokenizer = tokenizer;
      return describeModel(model, tokenizer);
    });
  }

  #needModel(): LoadedModel {
    if (!this.#model) throw new InputError('bad-option', 'There is no model yet.');
    return this.#model;
  }

  /** Gives up the run that was there, with its adapter. */
  #endRun(): void {
    this.#run?.session.layout.store.destroy();
    this.#run = null;
  }

  start(input: RunConfigInput): Promise<RunReport> {
    this.#noOpenRun();
    return this.#alone('preparing a run', async () => {
      const model = this.#needModel();
      const config = parseTrainingConfig(input, 'settings');
      const rows = rowsOf(await this.data.examples(), model.config.maxPositions);
      this.#endRun();
      const control = new RunControl();
      const metrics: Run['metrics'] = [];
      const speed = new Speed();
      this.events.send({ type: 'phase', phase: 'compiling' });
      const session = await Session.create({
        model,
        rows,
        config,
        control,
        hooks: {
          onPhase: (phase) => this.events.send({ type: 'phase', phase }),
          onProgress: (task, done, total) => this.events.send({ type: 'progress', task, done, total, unit: '' }),
          onStep: (m, total) => {
            metrics.push(m);
            const { step, loss, ce, balance, lr, tokens, seconds } = m;
            this.events.step({ step, loss, ce, balance, lr, gradNorm: m.grad_norm, tokens, seconds }, total);
            this.events.send({ type: 'speed', ...speed.add(m, total) });
          },
          onValidation: (m) => {
            metrics.push(m);
            this.events.send({ type: 'validation', step: m.step, loss: m.validation_loss });
          },
        },
      });
      const run: Run = { session, config, control, metrics, rows: rows.length, ended: Promise.resolve(), open: true };
      this.#run = run;
      run.ended = this.#train(run);
      const split = this.#split(run);
      return {
        config,
        parameters: countParameters(session.layout),
        steps: session.steps,
        trainRows: split.train.length,
        validationRows: split.validation.length,
      };
    });
  }

  #split({ rows, config }: Pick<Run, 'rows' | 'config'>) {
    return splitValidation(rows, config.data.validation, config.data.shuffle, config.seed);
  }

  /** Goes through the run; never rejects: what goes wrong is an event. */
  async #train(run: Run): Promise<void> {
    try {
      await run.session.run();
      run.open = false;
      this.events.send({ type: 'phase', phase: run.control.stopped ? 'stopped' : 'finished' });
    } catch (error) {
      run.open = false;
      this.#fail(error);
      this.events.send({ type: 'phase', phase: 'failed' });
    } finally {
      run.session.destroy(true);
      this.events.flush();
    }
  }

  #fail(error: unknown): void {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    const code = isInputError(error) ? name.slice('InputError:'.length) : 'internal';
    this.events.send({ type: 'failure', code, message });
  }

  pause(): void {
    if (this.#run?.open) this.#run.control.pause();
  }

  resume(): void {
    if (this.#busy) throw new InputError('bad-option', `The device is busy with ${this.#busy}: the run can go on after it.`);
    this.#run?.control.resume();
  }

  stop(): void {
    this.#run?.control.stop();
  }

  stopAnswer(): void {
    this.#abort?.abort();
  }

  #layoutFor(which: Which) {
    if (which === 'base') return null;
    if (!this.#run || this.#run.session.done === 0) throw new InputError('bad-option', 'There is no adapter yet: train first.');
    return this.#run.session.layout;
  }

  answer({ id, prompt, which, raw, ...options }: Question): Promise<void> {
    return this.#alone('an answer', async () => {
      const model = this.#needModel();
      const tokenizer = this.#tokenizer;
      if (!tokenizer) throw new InputError('missing-file', 'The model folder has no tokenizer.json: it cannot be asked in words.');
      const layout = this.#layoutFor(which);
      const template = raw ? null : tokenizer.template;
      const promptIds = template ? tokenizer.encode(template([{ role: 'user', content: prompt }], true)) : tokenizer.encodeStart(prompt);
      const ids: number[] = [];
      const abort = new AbortController();
      this.#abort = abort;
      const tell = (done: boolean) =>
        this.events.send({ type: 'answer', id, which, text: answerText(ids, tokenizer), tokens: ids.length, done });
      await generate(model, layout, [promptIds], {
        ...options,
        stopIds: [...tokenizer.endOfTurnIds, ...model.config.eosIds],
        signal: abort.signal,
        onToken: (_, token) => {
          ids.push(token);
          tell(false);
        },
      });
      tell(true);
    });
  }

  checkHeldOut(which: Which): Promise<HeldOutReport> {
    return this.#alone('held-out rows', async () => {
      const model = this.#needModel();
      const run = this.#run;
      if (!run) throw new InputError('bad-option', 'There is no run yet: train first.');
      const layout = this.#layoutFor(which);
      const step = run.session.done;
      const rows = (await this.data.heldOut(this.#split(run).validation.slice(0, heldOutAtMost))).slice(0, heldOutAtMost);
      if (rows.length === 0) throw new InputError('bad-data', 'No held-out row has a prompt and an answer to compare with.');
      const abort = new AbortController();
      this.#abort = abort;
      const onProgress = (done: number, total: number) => {
        if (abort.signal.aborted) throw new Stopped();
        this.events.send({ type: 'progress', task: 'Answering', done, total, unit: 'rows' });
      };
      onProgress(0, rows.length);
      const found = await answerHeldOut({ model, layout, rows, tokenizer: this.#tokenizer, onProgress }).catch((error) => {
        if (error instanceof Stopped) throw new InputError('bad-option', 'The check of held-out rows was stopped.');
        throw error;
      });
      return { which, step, ...found };
    });
  }

  exportAdapter(): Promise<ExportReport> {
    return this.#alone('an export', async () => {
      const model = this.#needModel();
      const layout = this.#layoutFor('tuned')!;
      const { session, config, metrics } = this.#run!;
      const values = await session.values();
      const step = session.done;
      // Figures of the last steps may still be on their way from the device.
      for (let i = 0; i < 100 && metrics.filter((m) => 'loss' in m).length < step; i++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      return packageAdapter({ model, layout, values, config, metrics, step });
    });
  }
}
