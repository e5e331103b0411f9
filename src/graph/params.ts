// Trainable parameters in flat f32 buffers (value, gradient, two moments), with named banks as
// 256-byte-aligned views.
import type { Allocator } from '../gpu/allocator.ts';
import { readF32, writeBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { invariant } from '../util/error.ts';
import { ALIGN, aligned, sizeOf, type Tensor, tensor, wholeOf } from './tensor.ts';

/** The four flat buffers of a store. */
export interface ParamBuffers {
  value: GPUBuffer;
  grad: GPUBuffer;
  m: GPUBuffer;
  v: GPUBuffer;
}

/** A level's parameters. Symbolic until `allocate`. */
export class ParamStore {
  readonly banks = new Map<string, Tensor>();
  private readonly extent: [number] = [0];
  private readonly whole: Record<keyof ParamBuffers, Tensor> = {
    value: tensor('all value', this.extent, { kind: 'param' }),
    grad: tensor('all grad', this.extent, { kind: 'grad' }),
    m: tensor('all m', this.extent, { kind: 'param' }),
    v: tensor('all v', this.extent, { kind: 'param' }),
  };
  buffers: ParamBuffers | null = null;
  private allocator: Allocator | null = null;

  /** Adds a bank of the given shape, with the view of its gradient. */
  add(name: string, shape: readonly number[]): Tensor {
    invariant(!this.banks.has(name), `bank ${name} exists`);
    const { whole, size: offset } = this;
    const gradient = tensor(`d ${name}`, shape, { kind: 'grad', within: whole.grad, offset });
    const bank = tensor(name, shape, {
      kind: 'param',
      requiresGrad: true,
      within: whole.value,
      offset,
      gradient,
    });
    this.banks.set(name, bank);
    this.extent[0] += aligned(sizeOf(bank));
    return bank;
  }

  /** Floats in all, padding included. */
  get size(): number {
    return this.extent[0];
  }

  /** Bytes of each of the four buffers. */
  get bytes(): number {
    return Math.max(this.size, ALIGN) * 4;
  }

  /** Whether a bank is of this store. */
  has(bank: Tensor): boolean {
    return bank.within === this.whole.value;
  }

  /** The flat tensors, for the optimizer, and for what takes several banks at once. */
  flat(): Record<keyof ParamBuffers, Tensor> {
    return this.whole;
  }

  /** The buffer that holds a bank, its gradient or a flat tensor of this store. */
  bufferOf(t: Tensor): GPUBuffer | undefined {
    const names = ['value', 'grad', 'm', 'v'] as const;
    const name = names.find((n) => this.whole[n] === wholeOf(t));
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
