// A recorded list, planned and compiled, that replays with no allocation.
import { bufferOf, createBuffer, idle } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { kernelKey, packParams } from '../gpu/kernel.ts';
import { type Pipeline, pipelineOf } from '../gpu/pipelines.ts';
import { invariant } from '../util/error.ts';
import type { ParamStore } from './params.ts';
import { fitSlots, type Plan, plan } from './plan.ts';
import {
  type Clear,
  type Command,
  type Copy,
  type Dispatch,
  operandsOf,
  type Recorder,
} from './recorder.ts';
import { bytesOf, type Tensor } from './tensor.ts';

/**
 * Buffers that several programs share: weights, states, parameters, the step uniform, and slots for
 * activations.
 */
export class Memory {
  private readonly bound = new Map<Tensor, GPUBuffer>();
  private readonly shared = new Map<Tensor, GPUBuffer>();
  private slots: GPUBuffer[] = [];
  readonly step: GPUBuffer;

  constructor(
    readonly gpu: Gpu,
    private readonly stores: readonly ParamStore[] = [],
  ) {
    this.step = createBuffer(gpu, 'step', 64, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  /** Gives a weight or state its buffer. */
  bind(t: Tensor, buffer: GPUBuffer): GPUBuffer {
    this.bound.set(t, buffer);
    return buffer;
  }

  /** Gives a tensor a buffer that another memory owns and frees. */
  share(t: Tensor, buffer: GPUBuffer): void {
    this.shared.set(t, buffer);
  }

  /** Makes and binds a buffer for a state: with its data, or of zeros where it has none. */
  allocate(t: Tensor): GPUBuffer {
    return this.bind(
      t,
      t.data ? bufferOf(this.gpu, t.name, t.data) : createBuffer(this.gpu, t.name, bytesOf(t)),
    );
  }

  /** The buffer of a tensor that is no activation. */
  get(t: Tensor): GPUBuffer {
    for (const store of this.stores) {
      const held = store.bufferOf(t);
      if (held) return held;
    }
    const buffer = this.bound.get(t) ?? this.shared.get(t);
    invariant(buffer, `${t.name} has no buffer`);
    return buffer;
  }

  /**
   * Slots of at least these sizes, largest first; those of earlier programs are used again where
   * they are big enough.
   */
  slotsFor(sizes: readonly number[]): GPUBuffer[] {
    return fitSlots(this.slots, sizes, (bytes) => createBuffer(this.gpu, 'slot', bytes));
  }

  /** Frees everything bound and the slots. */
  destroy(): void {
    for (const b of new Set([...this.bound.values(), ...this.slots, this.step])) b.destroy();
    this.bound.clear();
    this.slots = [];
  }
}

interface Compiled {
  dispatch: Dispatch | null;
  /** Clears and copies, on an encoder between passes. */
  transfer: ((encoder: GPUCommandEncoder) => void) | null;
  pipeline: Pipeline | null;
  group: GPUBindGroup | null;
}

/**
 * Work per submit until a speed is known: 10 ms at 200 GFLOP/s, and far from a watchdog's seconds
 * on anything slower.
 */
const CAUTIOUS_FLOPS = 2e9;

/** A program that can be replayed. */
export class Program {
  /** Flops of one replay. */
  readonly flops: number;

  private constructor(
    private readonly gpu: Gpu,
    readonly commands: readonly Command[],
    readonly plan: Plan,
    private readonly compiled: readonly Compiled[],
    private readonly own: readonly GPUBuffer[],
    /** Resolves a tensor of this program to its buffer, activations included. */
    readonly bufferOf: (t: Tensor) => GPUBuffer,
  ) {
    this.flops = commands.reduce((sum, c) => sum + (c.type === 'dispatch' ? c.flops : 0), 0);
  }

  /**
   * Plans, compiles and binds what was recorded.
   * @param options.share false gives each activation its own buffer
   * @param options.onProgress called with pipelines done and in all
   */
  static async compile(
    recorder: Recorder,
    memory: Memory,
    options: { share?: boolean; onProgress?: (done: number, of: number) => void } = {},
  ): Promise<Program> {
    const { gpu } = memory;
    const { commands } = recorder;
    const planned = plan(commands, options.share ?? true);
    const slots =
      options.share === false
        ? planned.slotBytes.map((b, i) => createBuffer(gpu, `own ${i}`, b))
        : memory.slotsFor(planned.slotBytes);
    const { tables, params, offsets } = ownData(commands);
    const constants = new Map<Tensor, GPUBuffer>();
    for (const t of tables) {
      invariant(t.data, `${t.name} has no data`);
      constants.set(t, bufferOf(gpu, t.name, t.data));
    }
    const uniforms = createBuffer(
      gpu,
      'uniforms',
      params.length,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    );
    gpu.device.queue.writeBuffer(uniforms, 0, params);
    const own = [...constants.values(), uniforms];
    const resolve = (t: Tensor): GPUBuffer => {
      if (t.kind === 'activation') return slots[planned.slots.get(t) ?? -1];
      return constants.get(t) ?? memory.get(t);
    };
    const dispatches = commands.filter((c) => c.type === 'dispatch');
    const pipelines = await compileAll(gpu, dispatches, options.onProgress);
    gpu.device.pushErrorScope('validation');
    let index = 0;
    const compiled = commands.map((c): Compiled => {
      if (c.type !== 'dispatch')
        return { dispatch: null, transfer: transferOf(c, resolve), pipeline: null, group: null };
      const pipeline = pipelines.get(kernelKey(c.kernel))!;
      const entries = c.tensors.map((t, binding) => ({
        binding,
        resource: binding_(resolve(t), t),
      }));
      if (c.kernel.params.length > 0)
        entries.push({
          binding: entries.length,
          resource: { buffer: uniforms, offset: offsets[index], size: 256 },
        });
      if (c.kernel.usesStep)
        entries.push({
          binding: entries.length,
          resource: { buffer: memory.step, offset: 0, size: 64 },
        });
      index++;
      return {
        dispatch: c,
        transfer: null,
        pipeline,
        group: gpu.device.createBindGroup({ label: c.label, layout: pipeline.layout, entries }),
      };
    });
    const error = await gpu.device.popErrorScope();
    if (error) throw new Error(`A bind group is invalid: ${error.message}`);
    return new Program(gpu, commands, planned, compiled, own, resolve);
  }

  /**
   * Submits the whole list, in pieces of at most `flopsPerSubmit`, so that one submit does not hold
   * the GPU for long.
   * @param timestamps writes begin and end of dispatch i to queries 2i and 2i+1 (one pass a
   *   dispatch), for the profiler; sets of 4,096 in a row
   */
  replay(options: { flopsPerSubmit?: number; timestamps?: readonly GPUQuerySet[] } = {}): void {
    const { device } = this.gpu;
    const limit = options.flopsPerSubmit ?? CAUTIOUS_FLOPS;
    let encoder = device.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    let flops = 0;
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
      const { dispatch, pipeline, group } = c;
      if (!dispatch || !pipeline) return;
      if (flops > 0 && flops + dispatch.flops > limit) {
        endPass();
        device.queue.submit([encoder.finish()]);
        encoder = device.createCommandEncoder();
        flops = 0;
      }
      const timestampWrites = options.timestamps && {
        querySet: options.timestamps[Math.floor((2 * i) / 4096)],
        beginningOfPassWriteIndex: (2 * i) % 4096,
        endOfPassWriteIndex: ((2 * i) % 4096) + 1,
      };
      pass ??= encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...dispatch.workgroups);
      flops += dispatch.flops;
      if (timestampWrites) endPass();
    });
    endPass();
    device.queue.submit([encoder.finish()]);
  }

  /** Frees the program's own uniforms and tables; shared memory stays. */
  destroy(): void {
    for (const b of this.own) b.destroy();
  }
}

function transferOf(
  c: Clear | Copy,
  resolve: (t: Tensor) => GPUBuffer,
): (encoder: GPUCommandEncoder) => void {
  const place = (t: Tensor) => ({ buffer: resolve(t), offset: t.offset * 4, size: bytesOf(t) });
  if (c.type === 'clear') {
    const { buffer, offset, size } = place(c.tensor);
    return (encoder) => encoder.clearBuffer(buffer, offset, size);
  }
  const [from, to] = [place(c.from), place(c.to)];
  return (encoder) =>
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
}

const binding_ = (buffer: GPUBuffer, t: Tensor): GPUBufferBinding =>
  t.kind === 'param' || t.kind === 'grad'
    ? { buffer, offset: t.offset * 4, size: Math.max(4, bytesOf(t)) }
    : { buffer };

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

/**
 * What a program has besides shared memory: its tables, and its kernels' params in blocks of 256
 * bytes with the place of each dispatch.
 */
export function ownData(commands: readonly Command[]): {
  tables: Set<Tensor>;
  params: Uint8Array<ArrayBuffer>;
  offsets: number[];
} {
  const tables = new Set(
    commands.flatMap((c) => operandsOf(c).filter((t) => t.kind === 'constant')),
  );
  const blocks = new Map<string, number>();
  const chunks: Uint8Array[] = [];
  const offsets = commands.flatMap((c) => {
    if (c.type !== 'dispatch') return [];
    const bytes = new Uint8Array(packParams(c.kernel, c.params));
    const key = bytes.join();
    let offset = blocks.get(key);
    if (offset === undefined) {
      offset = chunks.length * 256;
      blocks.set(key, offset);
      chunks.push(bytes);
    }
    return [offset];
  });
  const params = new Uint8Array(Math.max(1, chunks.length) * 256);
  chunks.forEach((c, i) => params.set(c, i * 256));
  return { tables, params, offsets };
}
