// A stage of a run, training or search, as a loop of steps: its clock, pausing and stopping, its
// statistics on their way, what ends it, and its state.
import type { ParamBuffers, ParamStore } from '../graph/params.ts';
import { flopsPerSubmitAt } from '../graph/program.ts';
import type { LoadedModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import { invariant } from '../util/error.ts';
import { Clock, RunControl } from './control.ts';
import type { ProgramSet } from './program-set.ts';
import { type PendingStep, StatisticsRing } from './ring.ts';

/**
 * A line of metrics.jsonl for an optimizer step of a stage (in a search, of its lower level);
 * values are those before its update, grad_norm before clipping.
 */
export interface UpdateMetrics {
  stage: 'train' | 'search';
  step: number;
  loss: number;
  ce: number;
  /**
   * Σ over sites of L_bal (in the search of open experts only), unweighted, averaged over the
   * micro-batches.
   */
  balance: number;
  lr: number;
  grad_norm: number;
  /** Tokens of the batch, padding left out. */
  tokens: number;
  /** Since the stage's first step began. */
  seconds: number;
}

/** A line of metrics.jsonl for an evaluation after `step` updates. */
export interface ValidationMetrics {
  stage: 'train';
  step: number;
  validation_loss: number;
  seconds: number;
}

/** What an upper step of a search comes to. */
export interface UpperMetrics {
  step: number;
  /** L(b2; ·) of the pass that gives ∇_a, with balance. */
  upper_loss: number;
  /** λ and E[params]/params(E_max, R_max) after the step. */
  lambda: number;
  share: number;
  seconds: number;
}

/** What a stage reports as it goes. */
export type StageEvent =
  | { type: 'phase'; phase: 'compiling' | 'searching' | 'training' | 'evaluating' | 'paused' }
  /** Kernels compiled, or validation rows done. */
  | { type: 'progress'; task: 'compiling' | 'validating'; done: number; total: number }
  | { type: 'step'; metrics: UpdateMetrics; total: number }
  /** An upper step, of `total`, and all GSVs after it, site by site; null: the start. */
  | {
      type: 'upper';
      metrics: UpperMetrics | null;
      values: Float32Array<ArrayBuffer>;
      total: number;
    }
  | { type: 'validation'; metrics: ValidationMetrics }
  /** Share of kept (token, slot) pairs by routed expert, of the last micro-batch. */
  | { type: 'routing'; shares: Float32Array };

/** Who listens to a stage, and who may pause or stop it. */
export interface StageLinks {
  emit?: (event: StageEvent) => void;
  control?: RunControl;
}

/**
 * All that a stage needs to go on from where it stood, bit for bit. Order, dropout and drawn sizes
 * are functions of seed and step.
 */
export interface StageState {
  tensors: Record<string, Float32Array<ArrayBuffer>>;
  numbers: Record<string, number>;
}

const PARTS = ['value', 'm', 'v'] as const satisfies (keyof ParamBuffers)[];

/** A stage that has been set up; its parameters are on the device and can be used meanwhile. */
export abstract class Stage {
  protected readonly emit: (event: StageEvent) => void;
  protected readonly control: RunControl;
  protected clock = new Clock();
  /** Turns of the loop done. */
  protected position = 0;
  /** Time and work done when the loop began. */
  private from = { seconds: 0, work: 0 };
  private failure: Error | null = null;
  private rings: StatisticsRing[] = [];

  protected constructor(
    protected readonly model: LoadedModel,
    /** Its parameters, by name. */
    private readonly stores: Readonly<Record<string, ParamStore>>,
    private readonly programs: ProgramSet<string>,
    private readonly phase: 'searching' | 'training',
    /** Turns of the loop in all. */
    private readonly length: number,
    { emit = () => undefined, control = new RunControl() }: StageLinks,
  ) {
    this.emit = emit;
    this.control = control;
  }

  /** Steps done, of `steps`: optimizer steps of a training, upper steps of a search. */
  abstract get done(): number;
  abstract readonly steps: number;

  /** Makes the rings, and reports the start. */
  protected abstract begin(): void | Promise<void>;
  /** One turn of the loop, from 0; pushes its statistics into the rings. */
  protected abstract turn(position: number): Promise<void>;
  /** Work between turns, and once more after the last one. */
  protected async between(_over: boolean): Promise<void> {}

  /**
   * Goes on to the end, or until stopped.
   * @throws Error where the device fails, does not finish a step, or a loss is not finite
   */
  async run(): Promise<void> {
    this.from = { seconds: this.clock.seconds, work: this.programs.work };
    this.clock.start();
    this.emit({ type: 'phase', phase: this.phase });
    try {
      await this.begin();
      while (this.position < this.length && (await this.pausable())) {
        await this.turn(this.position);
        this.position++;
        this.check();
        if (this.position < this.length) await this.between(false);
      }
      await this.settle();
      await this.between(true);
      this.check();
    } finally {
      this.clock.stop();
      for (const ring of this.rings) ring.destroy();
      this.rings = [];
    }
  }

  /**
   * A ring that copies `sources` (statistics first) out. `report` takes what arrives of a finished
   * step; after a failure nothing is reported.
   */
  protected ring(
    what: string,
    sources: readonly GPUBuffer[],
    report: (step: PendingStep, ...values: Float32Array[]) => void,
  ): StatisticsRing {
    const { sentinel, tokens } = STATISTICS;
    const ring = new StatisticsRing(this.model.gpu, sources, (values, step) => {
      const [s] = values;
      if (this.failure) return;
      this.measure(step);
      if (s[sentinel] === step.sentinel && s[tokens] === step.lossTokens) report(step, ...values);
      else
        this.fail(
          `The GPU did not finish ${what} ${step.step}: it counted ${s[tokens]} loss-carrying tokens of ${step.lossTokens} and left step number ${s[sentinel]}.`,
        );
    });
    this.rings.push(ring);
    return ring;
  }

  /** Sets the work of a submit by the speed up to a step that the device has finished. */
  private measure({ work }: PendingStep): void {
    const seconds = this.clock.seconds - this.from.seconds;
    if (seconds > 0)
      this.programs.flopsPerSubmit = flopsPerSubmitAt((work - this.from.work) / seconds);
  }

  /** Ends the stage at its next look. */
  protected fail(message: string): void {
    this.failure ??= new Error(message);
  }

  private check(): void {
    if (this.failure) throw this.failure;
    this.model.gpu.check();
  }

  /**
   * Reports an update from its statistics, or fails by figures that are not finite: false then.
   * @param what names the step in that sentence, and `setting` the learning rate to lower
   * @param parts micro-batches of an update
   * @param balance the coefficient of the balance loss
   */
  protected reportUpdate(
    { step, lossTokens, tokens, lr }: PendingStep,
    s: Float32Array,
    of: {
      stage: UpdateMetrics['stage'];
      what: string;
      setting: string;
      parts: number;
      balance: number;
      total: number;
    },
  ): boolean {
    const ce = s[STATISTICS.crossEntropy] / lossTokens;
    const balance = s[STATISTICS.balance] / of.parts;
    const loss = ce + of.balance * balance;
    const grad_norm = s[STATISTICS.gradNorm];
    if (!Number.isFinite(loss) || !Number.isFinite(grad_norm)) {
      this.fail(
        `${of.what} gave a loss of ${loss} and a gradient norm of ${grad_norm}; no update was made from it. Lower ${of.setting} and start again.`,
      );
      return false;
    }
    const { stage, total } = of;
    const { seconds } = this.clock;
    const metrics = { stage, step, loss, ce, balance, lr, grad_norm, tokens, seconds };
    this.emit({ type: 'step', metrics, total });
    return true;
  }

  /**
   * Waits until every figure of the steps done has been reported.
   * @throws Error where one of them ends the stage
   */
  protected async settle(): Promise<void> {
    for (const ring of this.rings) await ring.drain();
    this.check();
  }

  /** Waits while paused, with every figure reported before. Resolves with false once stopped. */
  protected pausable(phase: 'searching' | 'training' | 'evaluating' = this.phase) {
    return this.control.gate(async (paused) => {
      if (paused) await this.settle();
      if (paused) this.clock.stop();
      else this.clock.start();
      this.emit({ type: 'phase', phase: paused ? 'paused' : phase });
    });
  }

  /** The state between two turns: while paused, stopped, or over. */
  async state(): Promise<StageState> {
    const tensors: StageState['tensors'] = {};
    for (const [name, store] of Object.entries(this.stores))
      for (const part of PARTS) tensors[`${name}.${part}`] = await store.read(this.model.gpu, part);
    const halt = await this.programs.readHalt();
    return { tensors, numbers: { position: this.position, seconds: this.clock.seconds, halt } };
  }

  /**
   * Takes over a state of the same settings and rows, before `run`.
   * @throws Error where a tensor is missing or of another size
   */
  restore({ tensors, numbers }: StageState): void {
    for (const [name, store] of Object.entries(this.stores))
      for (const part of PARTS)
        store.write(this.model.gpu, part, tensorOf(tensors, `${name}.${part}`));
    this.programs.writeHalt(numbers.halt);
    this.position = numbers.position;
    this.clock = new Clock(numbers.seconds);
  }

  /** Frees the stage's programs, and its parameters unless they are still in use. */
  destroy(keepParameters = false): void {
    this.programs.destroy();
    if (keepParameters) return;
    for (const store of Object.values(this.stores)) store.destroy();
  }
}

/** A tensor of a state. @throws Error where it is missing */
export function tensorOf(tensors: StageState['tensors'], name: string): Float32Array<ArrayBuffer> {
  invariant(tensors[name], `the state has no ${name}`);
  return tensors[name];
}
