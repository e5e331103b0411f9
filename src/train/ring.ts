// Statistics leave the device through a ring of small staging buffers; the step loop waits only
// when all of them are in flight.

import type { Allocator } from '../gpu/allocator.ts';
import { idle } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';

/** Copies on their way at once. */
const RING_SLOTS = 3;

/** What the host knows of a step whose statistics are on their way. */
export interface PendingStep {
  step: number;
  /** What the device leaves as the step's number. */
  sentinel: number;
  /** Loss-carrying tokens, and tokens without padding, of the batch. */
  lossTokens: number;
  tokens: number;
  lr: number;
  /** Flops replayed up to it. */
  work: number;
}

interface Slot {
  buffer: GPUBuffer;
  pending: Promise<void> | null;
}

/** Copies buffers while the device computes on; delivers in the order of pushes. */
export class StatisticsRing {
  private readonly allocator: Allocator;
  private readonly slots: Slot[];
  private next = 0;
  private readonly sizes: number[];
  private delivered: Promise<void> = Promise.resolve();

  /** @param sources buffers to copy, whole, at each push */
  constructor(
    private readonly gpu: Gpu,
    private readonly sources: readonly GPUBuffer[],
    private readonly deliver: (values: Float32Array[], step: PendingStep) => void,
    slots = RING_SLOTS,
  ) {
    this.sizes = sources.map((s) => s.size);
    const size = this.sizes.reduce((a, b) => a + b, 0);
    this.allocator = gpu.allocator.child();
    this.slots = Array.from({ length: slots }, (_, i) => ({
      buffer: this.allocator.create('other', `ring ${i}`, size, 'staging'),
      pending: null,
    }));
  }

  /**
   * Queues a copy of the sources as they will be after the work submitted so far, then zeroes the
   * first of them.
   */
  async push(step: PendingStep): Promise<void> {
    const slot = this.slots[this.next];
    this.next = (this.next + 1) % this.slots.length;
    await slot.pending;
    const encoder = this.gpu.device.createCommandEncoder();
    let offset = 0;
    this.sources.forEach((s, i) => {
      encoder.copyBufferToBuffer(s, 0, slot.buffer, offset, this.sizes[i]);
      offset += this.sizes[i];
    });
    encoder.clearBuffer(this.sources[0]);
    this.gpu.device.queue.submit([encoder.finish()]);
    const before = this.delivered;
    slot.pending = idle(slot.buffer.mapAsync(GPUMapMode.READ)).then(async () => {
      const all = slot.buffer.getMappedRange().slice(0);
      slot.buffer.unmap();
      let at = 0;
      const values = this.sizes.map((size) => {
        at += size;
        return new Float32Array(all, at - size, size / 4);
      });
      await before; // the waits for several slots may end in any order
      this.deliver(values, step);
    });
    this.delivered = slot.pending;
    // A failure is reported where it is awaited; this keeps it from being unhandled meanwhile.
    slot.pending.catch(() => undefined);
  }

  /** Waits until everything pushed has been delivered. */
  async drain(): Promise<void> {
    for (let i = 0; i < this.slots.length; i++)
      await this.slots[(this.next + i) % this.slots.length].pending;
  }

  destroy(): void {
    this.allocator.destroy();
  }
}
