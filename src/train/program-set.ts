// Programs over one batch shape on a device: the memory that they share, the states of a batch, and
// their replays.
import { readBuffer, writeBuffer } from '../gpu/buffers.ts';
import type { ParamStore } from '../graph/params.ts';
import { type PlacedProgram, Program, ProgramMemory, place } from '../graph/program.ts';
import type { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { LoadedModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import type { AdamW } from '../ops/optim.ts';
import { invariant } from '../util/error.ts';
import {
  type BatchShapes,
  type BatchStates,
  type MicroBatch,
  type StepScalars,
  stepBytes,
  writeBatch,
} from './batch.ts';

/** What a set of programs does, symbolic. */
export interface Recording<Name extends string> {
  shapes: BatchShapes;
  /** Parameters that the programs use; they are allocated by whoever owns them. */
  stores: readonly ParamStore[];
  /** The states of a batch; and all states there are, these among them. */
  batch: BatchStates;
  states: readonly Tensor[];
  /** In compile order; each name has one recording, or one per micro-batch shape. */
  programs: ReadonlyMap<Name, readonly Recorder[]>;
  /** What leaves the device after a step, ring by ring; the statistics of each come first. */
  rings: readonly (readonly Tensor[])[];
  /** Elements that are read back at once, at most. */
  readback: number;
}

/** Programs with their states; made without `compile` it has all its buffers and cannot be run. */
export class ProgramSet<Name extends string> {
  readonly memory: ProgramMemory;
  readonly shapes: BatchShapes;
  readonly programs = new Map<Name, Program[]>();
  /** The buffers that leave the device after a step, ring by ring. */
  readonly sources: readonly (readonly GPUBuffer[])[];
  /** Flops of a submit at most, once a speed is known. */
  flopsPerSubmit: number | undefined;
  /** Flops replayed so far. */
  work = 0;
  private readonly batch: BatchStates;
  private readonly staging: GPUBuffer;
  private readonly placed: readonly (readonly [Name, PlacedProgram])[];

  /** @param share false gives every activation a buffer of its own */
  constructor(
    readonly model: LoadedModel,
    { shapes, stores, batch, states, programs, rings, readback }: Recording<Name>,
    share = true,
  ) {
    this.shapes = shapes;
    this.batch = batch;
    this.memory = new ProgramMemory(model.gpu, stores);
    this.memory.share(model.weights.all, model.memory);
    for (const t of states) this.memory.allocate(t);
    this.sources = rings.map((ring) => ring.map((t) => this.memory.get(t)));
    this.staging = this.memory.allocator.create('other', 'staging', readback * 4, 'staging');
    this.placed = [...programs].flatMap(([name, all]) =>
      all.map((rec) => [name, place(rec, this.memory, share)] as const),
    );
  }

  /** Compiles what was recorded. Where that fails, nothing stays on the device. */
  async compile(onProgress?: (done: number, of: number) => void): Promise<this> {
    try {
      for (const [name, placed] of this.placed) {
        const made = await Program.of(placed, onProgress);
        this.programs.set(name, [...(this.programs.get(name) ?? []), made]);
      }
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** Writes a micro-batch, where there is one, and the step's scalars, and replays a program. */
  protected replay(
    name: Name,
    batch: MicroBatch | null = null,
    scalars: StepScalars = {},
    optimizer?: AdamW,
  ): void {
    const all = this.programs.get(name) ?? [];
    const program = all[all.length > 1 && batch ? this.shapes.micro.indexOf(batch.shape) : 0];
    invariant(program, `there is no program ${name} for this batch`);
    if (batch) writeBatch(this.memory, this.batch, batch);
    const { queue } = this.model.gpu.device;
    queue.writeBuffer(this.memory.step, 0, stepBytes(scalars, optimizer));
    program.replay({ flopsPerSubmit: this.flopsPerSubmit });
    this.work += program.flops;
  }

  /** Total flops of one replay of each program, at its largest shape. */
  flopsOf(...names: Name[]): number {
    return names.reduce((sum, name) => sum + (this.programs.get(name)?.at(-1)?.flops ?? 0), 0);
  }

  /** Reads `bytes` of a buffer, all by default. Waits for the work before. */
  protected read(buffer: GPUBuffer, bytes = buffer.size): Promise<ArrayBuffer> {
    return readBuffer(this.model.gpu, buffer, 0, bytes, this.staging);
  }

  /** Reads the statistics and zeroes them. Waits for the work before. */
  async readStatistics(): Promise<Float32Array<ArrayBuffer>> {
    const values = new Float32Array(await this.read(this.memory.get(this.batch.statistics)));
    this.clearStatistics();
    return values;
  }

  /** Sets the statistics. */
  writeStatistics(values: Float32Array): void {
    writeBuffer(this.model.gpu, this.memory.get(this.batch.statistics), values);
  }

  /** Zeroes the statistics. */
  clearStatistics(): void {
    this.writeStatistics(new Float32Array(STATISTICS.size));
  }

  /** Whether a gradient that is not finite has ended all updates: 0 or 1. */
  async readHalt(): Promise<number> {
    return new Uint32Array(await this.read(this.memory.get(this.batch.halt)))[0];
  }

  /** Sets what `readHalt` reads. */
  writeHalt(halt: number): void {
    writeBuffer(this.model.gpu, this.memory.get(this.batch.halt), Uint32Array.of(halt));
  }

  /** Frees programs and states; weights and parameters stay. */
  destroy(): void {
    this.memory.destroy();
  }
}
