// Who owns GPU buffers: an allocator makes them, counts them by what they are for, and frees all
// that it has made.

/**
 * What buffers are for. `adapter`: trainable values (with a search, row scales and GuidedSelection
 * Vectors too); `optimizer`: their gradients and moments; `cache`: keys and values of generation;
 * `other`: inputs, statistics, tables, staging.
 */
export const categories = [
  'weights',
  'adapter',
  'optimizer',
  'activations',
  'logits',
  'cache',
  'other',
] as const;
export type Category = (typeof categories)[number];

/** How the device may use a buffer. All but staging can be written by the queue. */
export type Use = 'storage' | 'uniform' | 'staging' | 'timestamps';

/** Bytes of buffers by category, together, and the largest one; it is bound whole. */
export interface BufferBytes {
  bytes: Record<Category, number>;
  total: number;
  largest: { name: string; bytes: number };
}

/** Buffer size for `bytes` bytes of data: rounded up to 4, at least 4. */
export const bufferBytes = (bytes: number): number => Math.max(4, Math.ceil(bytes / 4) * 4);

/** Counts the buffers of a device. */
export class BufferCounts {
  /** Buffers made so far. */
  buffers = 0;
  /** Bytes of those not freed, and the most of these at any time. */
  held = 0;
  peak = 0;
  private readonly bytes = Object.fromEntries(categories.map((c) => [c, 0])) as Record<
    Category,
    number
  >;
  private bytesAtPeak = { ...this.bytes };
  private largest = { name: '', bytes: 0 };

  /** Counts a buffer that was made. */
  made(category: Category, name: string, bytes: number): void {
    this.buffers++;
    this.change(category, bytes);
    if (bytes > this.largest.bytes) this.largest = { name, bytes };
    if (this.held <= this.peak) return;
    this.peak = this.held;
    this.bytesAtPeak = { ...this.bytes };
  }

  /** Counts a buffer that is freed, by negative bytes. */
  change(category: Category, bytes: number): void {
    this.held += bytes;
    this.bytes[category] += bytes;
  }

  /** The bytes at the peak, and the largest buffer so far. */
  atPeak(): BufferBytes {
    return { bytes: this.bytesAtPeak, total: this.peak, largest: this.largest };
  }
}

/** Makes buffers and owns them; an allocator's children are freed with it. */
export class Allocator {
  private readonly own = new Map<GPUBuffer, Category>();
  private readonly children = new Set<Allocator>();

  /** @param make makes a zero-filled buffer on the device */
  constructor(
    private readonly make: (label: string, size: number, use: Use) => GPUBuffer,
    readonly counts: BufferCounts,
    private readonly parent: Allocator | null = null,
  ) {}

  child(): Allocator {
    const child = new Allocator(this.make, this.counts, this);
    this.children.add(child);
    return child;
  }

  /** A zero-filled buffer of at least `bytes` bytes. */
  create(category: Category, label: string, bytes: number, use: Use = 'storage'): GPUBuffer {
    const size = bufferBytes(bytes);
    const buffer = this.make(label, size, use);
    this.own.set(buffer, category);
    this.counts.made(category, label, size);
    return buffer;
  }

  /** Takes a buffer over from another allocator. */
  adopt(buffer: GPUBuffer, from: Allocator): void {
    this.own.set(buffer, from.own.get(buffer) ?? 'other');
    from.own.delete(buffer);
  }

  /** Frees a buffer that it owns. */
  free(buffer: GPUBuffer): void {
    const category = this.own.get(buffer);
    if (!category) return;
    this.own.delete(buffer);
    this.counts.change(category, -buffer.size);
    buffer.destroy();
  }

  /** Frees everything that it and its children own. */
  destroy(): void {
    for (const child of [...this.children]) child.destroy();
    for (const buffer of [...this.own.keys()]) this.free(buffer);
    this.parent?.children.delete(this);
  }
}
