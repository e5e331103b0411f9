// Trainable parameters in flat f32 buffers (value, gradient, two moments), with named banks as
// 256-byte-aligned views.
import type { Allocator } from '../gpu/allocator.ts';
import { readF32, writeBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { invariant } from '../util/error.ts';
import { type Tensor, tensor } from './tensor.ts';

const ALIGN = 64; // floats: 256 bytes, the strictest binding alignment

/** The four flat buffers of a store. */
export interface ParamBuffers {
  value: GPUBuffer;
  grad: GPUBuffer;
  m: GPUBuffer;
  v: GPUBuffer;
}

/** A level's parameters. Symbolic until `allocate`. */
export class ParamStore {
  /** Floats in all, padding included. */
  size = 0;
  readonly banks = new Map<string, Tensor>();
  private readonly views = new Map<Tensor, keyof ParamBuffers>();
  buffers: ParamBuffers | null = null;
  private allocator: Allocator | null = null;

  /** Adds a bank of the given shape, with the view of its gradient. */
  add(name: string, shape: readonly number[]): Tensor {
    invariant(!this.banks.has(name), `bank ${name} exists`);
    const gradient = tensor(`d ${name}`, shape, { kind: 'grad', offset: this.size });
    const bank = tensor(name, shape, {
      kind: 'param',
      requiresGrad: true,
      offset: this.size,
      gradient,
    });
    this.banks.set(name, bank);
    this.views.set(bank, 'value');
    this.views.set(gradient, 'grad');
    const floats = shape.reduce((a, b) => a * b, 1);
    this.size += Math.ceil(floats / ALIGN) * ALIGN;
    return bank;
  }

  /** Bytes of each of the four buffers. */
  get bytes(): number {
    return Math.max(this.size, ALIGN) * 4;
  }

  /** Whether a bank is of this store. */
  has(bank: Tensor): boolean {
    return this.banks.get(bank.name) === bank;
  }

  /** Whole-buffer views, for the optimizer. The store is complete by then. */
  flat(): Record<keyof ParamBuffers, Tensor> {
    const view = (name: keyof ParamBuffers) => {
      const t = tensor(`all ${name}`, [this.size], { kind: name === 'grad' ? 'grad' : 'param' });
      this.views.set(t, name);
      return t;
    };
    return {
      value: view('value'),
      grad: view('grad'),
      m: view('m'),
      v: view('v'),
    };
  }

  /** The buffer that holds a bank, a gradient view or a whole-buffer view of this store. */
  bufferOf(t: Tensor): GPUBuffer | undefined {
    const name = this.views.get(t);
    return name && this.buffers?.[name];
  }

  /** Makes the buffers, zero-filled but for the values where they are given. */
  allocate(gpu: Gpu, values?: Float32Array): void {
    invariant(!this.buffers, 'parameters are allocated already');
    const own = gpu.allocator.child();
    const name = 'the adapter';
    this.buffers = {
      value: own.create('adapter', name, this.bytes),
      grad: own.create('optimizer', `${name}'s gradients`, this.bytes),
      m: own.create('optimizer', `${name}'s first moments`, this.bytes),
      v: own.create('optimizer', `${name}'s second moments`, this.bytes),
    };
    this.allocator = own;
    if (values) this.write(gpu, 'value', values);
  }

  /** Writes one flat buffer, from its first bank on. */
  write(gpu: Gpu, which: keyof ParamBuffers, values: Float32Array): void {
    invariant(this.buffers, 'parameters are not allocated');
    invariant(values.length >= this.size, 'these are not all values of the store');
    writeBuffer(gpu, this.buffers[which], values);
  }

  /** Reads one flat buffer back; banks are at their offsets. */
  read(gpu: Gpu, which: keyof ParamBuffers): Promise<Float32Array<ArrayBuffer>> {
    invariant(this.buffers, 'parameters are not allocated');
    return readF32(gpu, this.buffers[which]);
  }

  /** Frees the buffers. */
  destroy(): void {
    this.allocator?.destroy();
    this.allocator = this.buffers = null;
  }
}
