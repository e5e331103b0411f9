// A recorded list, planned and compiled, that replays with no allocation.
import type { Allocator, Category } from '../gpu/allocator.ts';
import { idle, writeBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { kernelKey } from '../gpu/kernel.ts';
import { type Pipeline, pipelineOf } from '../gpu/pipelines.ts';
import { invariant } from '../util/error.ts';
import { ownData } from './own-data.ts';
import type { ParamStore } from './params.ts';
import { fitSlots, type Plan, plan } from './plan.ts';
import {
  type Clear,
  type Command,
  type Copy,
  type Dispatch,
  launchesOf,
  type Recorder,
} from './recorder.ts';
import { bytesOf, startOf, type Tensor, wholeOf } from './tensor.ts';

/** Bytes of the step uniform (shaders/lib/step.wgsl). */
const STEP_BYTES = 64;

/**
 * Buffers that several programs share: weights, states, parameters, the step uniform, and slots for
 * activations. It owns all that it makes.
 */
export class ProgramMemory {
  readonly allocator: Allocator;
  readonly step: GPUBuffer;
  private readonly bound = new Map<Tensor, GPUBuffer>();
  private slots: GPUBuffer[] = [];

  constructor(
    readonly gpu: Gpu,
    private readonly stores: readonly ParamStore[] = [],
  ) {
    this.allocator = gpu.allocator.child();
    this.step = this.allocator.create('other', 'step', STEP_BYTES, 'uniform');
  }

  /** Binds tensors to the buffers that another memory owns and frees. */
  share(tensors: Iterable<Tensor>, owner: ProgramMemory): void {
    for (const t of tensors) this.bound.set(wholeOf(t), owner.get(t));
  }

  /**
   * Makes a buffer for a weight or state, or for the tensor that it lies in: with its data, or of
   * zeros where it has none.
   */
  allocate(of: Tensor, category: Category = 'other'): GPUBuffer {
    const t = wholeOf(of);
    const held = of.within && this.bound.get(t);
    if (held) return held;
    const buffer = this.allocator.create(category, t.name, bytesOf(t));
    if (t.data) writeBuffer(this.gpu, buffer, t.data);
    this.bound.set(t, buffer);
    return buffer;
  }

  /** The buffer of a tensor that is no activation. */
  get(t: Tensor): GPUBuffer {
    for (const store of this.stores) {
      const held = store.bufferOf(t);
      if (held) return held;
    }
    const buffer = this.bound.get(wholeOf(t));
    invariant(buffer, `${t.name} has no buffer`);
    return buffer;
  }

  /**
   * A slot for each of a plan's, of at least its size; those of earlier programs are used again
   * where they are big enough. Each counts as what its largest tensor is.
   */
  slotsFor({ slotBytes, largest }: Plan): GPUBuffer[] {
    return fitSlots(this.slots, slotBytes, (bytes, slot) => this.slot(bytes, largest[slot]));
  }

  /** A buffer for activations, the largest of which is this one. */
  slot(bytes: number, { name, category }: Tensor): GPUBuffer {
    return this.allocator.create(category ?? 'activations', name, bytes);
  }

  /** Frees everything that it owns. */
  destroy(): void {
    this.allocator.destroy();
    this.bound.clear();
    this.slots = [];
  }
}

/** A recorded list with buffers for all its tensors. */
export interface PlacedProgram {
  memory: ProgramMemory;
  commands: readonly Command[];
  /** Its params, and where those of each launch begin. */
  uniforms: GPUBuffer;
  offsets: readonly number[];
  /** Buffers of this program alone. */
  own: readonly GPUBuffer[];
  /** Resolves a tensor of this program to its buffer, activations included. */
  bufferOf(t: Tensor): GPUBuffer;
}

/**
 * Plans what was recorded, and gives it buffers: everything that the program will need.
 * @param share false gives each activation its own buffer
 */
export function place({ commands }: Recorder, memory: ProgramMemory, share = true): PlacedProgram {
  const { gpu, allocator } = memory;
  const planned = plan(commands, share);
  const slots = share
    ? memory.slotsFor(planned)
    : planned.slotBytes.map((bytes, i) => memory.slot(bytes, planned.largest[i]));
  const { tables, params, offsets } = ownData(commands);
  const constants = new Map<Tensor, GPUBuffer>();
  for (const t of tables) {
    invariant(t.data, `${t.name} has no data`);
    const buffer = allocator.create('other', t.name, bytesOf(t));
    writeBuffer(gpu, buffer, t.data);
    constants.set(t, buffer);
  }
  const uniforms = allocator.create('other', 'params', params.length, 'uniform');
  writeBuffer(gpu, uniforms, params);
  return {
    memory,
    commands,
    uniforms,
    offsets,
    own: [...constants.values(), uniforms],
    bufferOf: (t) =>
      t.kind === 'activation'
        ? slots[planned.slots.get(wholeOf(t)) ?? -1]
        : (constants.get(t) ?? memory.get(t)),
  };
}

/** A launch that can be encoded. */
interface Bound {
  launch: Dispatch;
  pipeline: Pipeline;
  group: GPUBindGroup;
}

/** Clears and copies go on an encoder between passes. */
type Compiled =
  | { transfer: (encoder: GPUCommandEncoder) => void }
  | { transfer: null; whole: Bound; parts: readonly Bound[] };

/**
 * Work per submit until a speed is known: 10 ms at 200 GFLOP/s, and far from a watchdog's seconds
 * on anything slower.
 */
const CAUTIOUS_FLOPS = 2e9;

/** A launch of more submits' work than this goes in parts, where it has them. */
const MOST_SUBMITS = 4;

/** Work per submit at a speed in flops a second: 15 ms of it, so a launch in one piece takes 60. */
export const flopsPerSubmitAt = (speed: number): number => Math.max(1e6, 0.015 * speed);

/** A program that can be replayed. */
export class Program {
  /** Flops of one replay. */
  readonly flops: number;

  private constructor(
    private readonly placed: PlacedProgram,
    private readonly compiled: readonly Compiled[],
  ) {
    this.flops = placed.commands.reduce((sum, c) => sum + ('flops' in c ? c.flops : 0), 0);
  }

  get commands(): readonly Command[] {
    return this.placed.commands;
  }

  /** Resolves a tensor of this program to its buffer, activations included. */
  bufferOf(t: Tensor): GPUBuffer {
    return this.placed.bufferOf(t);
  }

  /**
   * Plans, compiles and binds what was recorded.
   * @param options.share false gives each activation its own buffer
   * @param options.onProgress called with pipelines done and in all
   */
  static compile(
    recorder: Recorder,
    memory: ProgramMemory,
    options: { share?: boolean; onProgress?: (done: number, of: number) => void } = {},
  ): Promise<Program> {
    return Program.of(place(recorder, memory, options.share), options.onProgress);
  }

  /**
   * Compiles and binds what has its buffers; where that fails, the memory keeps them.
   * @param onProgress called with pipelines done and in all
   */
  static async of(
    placed: PlacedProgram,
    onProgress?: (done: number, of: number) => void,
  ): Promise<Program> {
    const { gpu } = placed.memory;
    const dispatches = placed.commands.filter((c) => c.type === 'dispatch');
    const pipelines = await compileAll(gpu, dispatches, onProgress);
    gpu.device.pushErrorScope('validation');
    let compiled: Compiled[];
    let error: GPUError | null = null;
    try {
      compiled = bind(placed, pipelines);
    } finally {
      error = await gpu.device.popErrorScope();
    }
    if (error) throw new Error(`A bind group is invalid: ${error.message}`);
    return new Program(placed, compiled);
  }

  /**
   * Submits the whole list, in pieces of at most `flopsPerSubmit`, so that one submit does not hold
   * the GPU for long; a launch of far more goes in its parts.
   * @param timestamps writes begin and end of dispatch i to queries 2i and 2i+1 (one pass a
   *   dispatch), for the profiler; sets of 4,096 in a row
   * @param bounds writes begin and end of submit i to queries 2i and 2i+1, where it has them
   */
  replay(
    options: {
      flopsPerSubmit?: number;
      timestamps?: readonly GPUQuerySet[];
      bounds?: GPUQuerySet;
    } = {},
  ): void {
    const { device } = this.placed.memory.gpu;
    const limit = options.flopsPerSubmit ?? CAUTIOUS_FLOPS;
    let encoder = device.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    let flops = 0;
    let isFirst = true;
    let submits = 0;
    /** A submit's first pass writes when it began; each one when it ended, and the last one stays. */
    const bounds = (): GPUComputePassTimestampWrites | undefined => {
      if (!options.bounds || 2 * submits + 1 >= options.bounds.count) return undefined;
      const begin = isFirst ? { beginningOfPassWriteIndex: 2 * submits } : {};
      isFirst = false;
      return { querySet: options.bounds, ...begin, endOfPassWriteIndex: 2 * submits + 1 };
    };
    const endPass = () => {
      pass?.end();
      pass = null;
    };
    this.compiled.forEach((c, i) => {
      if (c.transfer) {
        endPass();
        c.transfer(encoder);
        return;
      }
      const timestampWrites = options.timestamps && {
        querySet: options.timestamps[Math.floor((2 * i) / 4096)],
        beginningOfPassWriteIndex: (2 * i) % 4096,
        endOfPassWriteIndex: ((2 * i) % 4096) + 1,
      };
      const long = !timestampWrites && c.whole.launch.flops > MOST_SUBMITS * limit;
      for (const { launch, pipeline, group } of long && c.parts.length > 0 ? c.parts : [c.whole]) {
        if (flops > 0 && flops + launch.flops > limit) {
          endPass();
          device.queue.submit([encoder.finish()]);
          encoder = device.createCommandEncoder();
          flops = 0;
          submits++;
          isFirst = true;
        }
        pass ??= encoder.beginComputePass({ timestampWrites: timestampWrites ?? bounds() });
        pass.setPipeline(pipeline.pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...launch.workgroups);
        flops += launch.flops;
      }
      if (timestampWrites) endPass();
    });
    endPass();
    device.queue.submit([encoder.finish()]);
  }

  /** Frees the program's own uniforms and tables; shared memory stays. */
  destroy(): void {
    const { memory, own } = this.placed;
    for (const buffer of own) memory.allocator.free(buffer);
  }
}

function bind(placed: PlacedProgram, pipelines: ReadonlyMap<string, Pipeline>): Compiled[] {
  const { memory, commands, uniforms, offsets, bufferOf } = placed;
  let index = 0;
  const bound = (launch: Dispatch): Bound => {
    const pipeline = pipelines.get(kernelKey(launch.kernel))!;
    const resources = launch.tensors.map((t) => bindingOf(bufferOf(t), t));
    const offset = offsets[index++];
    if (launch.kernel.params.length > 0) resources.push({ buffer: uniforms, offset, size: 256 });
    if (launch.kernel.usesStep)
      resources.push({ buffer: memory.step, offset: 0, size: STEP_BYTES });
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const { layout } = pipeline;
    const group = memory.gpu.device.createBindGroup({ label: launch.label, layout, entries });
    return { launch, pipeline, group };
  };
  return commands.map((c): Compiled => {
    if (c.type !== 'dispatch') return { transfer: transferOf(c, bufferOf) };
    const [whole, ...parts] = launchesOf(c).map(bound);
    return { transfer: null, whole, parts };
  });
}

function transferOf(
  c: Clear | Copy,
  resolve: (t: Tensor) => GPUBuffer,
): (encoder: GPUCommandEncoder) => void {
  const place = (t: Tensor) => ({ buffer: resolve(t), offset: startOf(t), size: bytesOf(t) });
  if (c.type === 'clear') {
    const { buffer, offset, size } = place(c.tensor);
    return (encoder) => encoder.clearBuffer(buffer, offset, size);
  }
  const [from, to] = [place(c.from), place(c.to)];
  return (encoder) =>
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
}

const bindingOf = (buffer: GPUBuffer, t: Tensor): GPUBufferBinding =>
  t.within ? { buffer, offset: startOf(t), size: Math.max(4, bytesOf(t)) } : { buffer };

async function compileAll(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
  onProgress?: (done: number, of: number) => void,
): Promise<Map<string, Pipeline>> {
  const kernels = new Map(dispatches.map((d) => [kernelKey(d.kernel), d.kernel]));
  let done = 0;
  const made = await Promise.all(
    [...kernels].map(async ([key, kernel]) => {
      const pipeline = await idle(pipelineOf(gpu, kernel));
      onProgress?.(++done, kernels.size);
      return [key, pipeline] as const;
    }),
  );
  return new Map(made);
}
