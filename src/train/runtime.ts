// A model with an adapter on a device: the programs of a training, or of an evaluation.
import type { AdapterLayout } from '../adapters/layout.ts';
import type { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { LoadedModel, SymbolicModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import {
  type BatchShape,
  type BatchShapes,
  batchStates,
  DEFAULT_MEMORY_OPTIONS,
  type MemoryOptions,
  type MicroBatch,
  type StepScalars,
  statesFor,
} from './batch.ts';
import { ProgramSet, type Recording } from './program-set.ts';
import { recordEvaluation, recordMicro, recordUpdate } from './programs.ts';

/** What the programs of a training depend on. */
export interface TrainingOptions {
  dropout: boolean;
  /** By default memory is not saved on. It changes no bit. */
  memoryOptions?: MemoryOptions;
  /** No `micro` and no `update`. */
  evaluateOnly?: boolean;
}

/** Options of a runtime. */
export interface RuntimeOptions extends TrainingOptions {
  /** false gives every activation a buffer of its own, to bisect aliasing. */
  share?: boolean;
  onProgress?: (done: number, of: number) => void;
}

type TrainingProgram = 'micro' | 'update' | 'evaluate';

/** A training, symbolic; of an adapter, or of none. */
export interface TrainingRecording<L extends AdapterLayout | null = AdapterLayout | null>
  extends Recording<TrainingProgram> {
  layout: L;
  /** Cross-entropy of each target of the last evaluation. */
  losses: Tensor;
}

/** Records `evaluate`, and `micro` and `update` where there is an adapter to train. No GPU. */
export function recordTraining<L extends AdapterLayout | null>(
  model: SymbolicModel,
  layout: L,
  shapes: BatchShapes,
  { dropout, memoryOptions = DEFAULT_MEMORY_OPTIONS, evaluateOnly = false }: TrainingOptions,
): TrainingRecording<L> {
  const batch = batchStates(shapes, layout?.routedExperts ?? 0);
  const passes = (shape: BatchShape) => ({ model, layout, shape, states: statesFor(batch, shape) });
  const programs = new Map<TrainingProgram, Recorder[]>();
  if (layout && !evaluateOnly) {
    const micro = shapes.micro.map((s) => recordMicro(passes(s), dropout, memoryOptions));
    programs.set('micro', micro);
    programs.set('update', [recordUpdate(model.variants, layout, batch)]);
  }
  const { rec, losses } = recordEvaluation(passes(shapes.evaluation), memoryOptions);
  programs.set('evaluate', [rec]);
  return {
    shapes,
    layout,
    losses,
    stores: layout ? [layout.store] : [],
    batch,
    states: Object.values(batch),
    programs,
    rings: [[batch.statistics, batch.routing]],
    readback: Math.max(STATISTICS.size, shapes.evaluation.targets),
  };
}

/** A model, an adapter (or none) and the programs of its batches. */
export class Runtime extends ProgramSet<TrainingProgram> {
  private readonly losses: Tensor;

  constructor(model: LoadedModel, recording: TrainingRecording, share?: boolean) {
    super(model, recording, share);
    this.losses = recording.losses;
  }

  /** Records and compiles. Parameters must be allocated. */
  static create(
    model: LoadedModel,
    layout: AdapterLayout | null,
    shapes: BatchShapes,
    options: RuntimeOptions,
  ): Promise<Runtime> {
    const recording = recordTraining(model, layout, shapes, options);
    return new Runtime(model, recording, options.share).compile(options.onProgress);
  }

  /** Forward and backward of a micro-batch; adds into the gradients and the statistics. */
  micro(batch: MicroBatch, scalars: StepScalars): void {
    this.replay('micro', batch, scalars);
  }

  /** Clip and AdamW; zeroes the gradients. */
  update(scalars: StepScalars): void {
    this.replay('update', null, scalars);
  }

  /** Forward only; adds into the statistics. */
  evaluate(batch: MicroBatch): void {
    this.replay('evaluate', batch);
  }

  /** Cross-entropy (targets) of an evaluation that nothing has followed. Waits for it. */
  async readLosses(): Promise<Float32Array> {
    const buffer = this.programs.get('evaluate')![0].bufferOf(this.losses);
    return new Float32Array(await this.read(buffer, this.shapes.evaluation.targets * 4));
  }
}
