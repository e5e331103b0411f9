// Filling and reading GPU buffers.
import { InputError } from '../util/error.ts';
import { bufferBytes } from './allocator.ts';
import type { Gpu } from './device.ts';

/** The error for what one binding of this GPU cannot hold. */
export function tooWide(
  what: string,
  bytes: number,
  { maxBinding }: Pick<Gpu, 'maxBinding'>,
): InputError {
  const [needed, allowed] = [Math.ceil(bytes / 2 ** 20), Math.floor(maxBinding / 2 ** 20)];
  return new InputError(
    'too-large',
    `${what} needs ${needed} MiB in one binding; this GPU allows ${allowed} MiB.`,
  );
}

/** A zero-filled storage buffer of at least `bytes` bytes, owned by the device until it is bound. */
export const createBuffer = (gpu: Gpu, label: string, bytes: number): GPUBuffer =>
  gpu.allocator.create('other', label, bytes);

/** As `createBuffer`, holding `data`; odd lengths are padded with zeros to 4 bytes. */
export function bufferOf(gpu: Gpu, label: string, data: ArrayBufferView): GPUBuffer {
  const buffer = createBuffer(gpu, label, data.byteLength);
  writeBuffer(gpu, buffer, data);
  return buffer;
}

/** Writes `data` at byte `offset` of a buffer. */
export function writeBuffer(gpu: Gpu, buffer: GPUBuffer, data: ArrayBufferView, offset = 0): void {
  const whole = data.byteLength & ~3;
  gpu.device.queue.writeBuffer(buffer, offset, data.buffer, data.byteOffset, whole);
  if (whole === data.byteLength) return;
  const rest = new Uint8Array(4);
  rest.set(new Uint8Array(data.buffer, data.byteOffset + whole, data.byteLength - whole));
  gpu.device.queue.writeBuffer(buffer, offset + whole, rest);
}

/**
 * Reads bytes [offset, offset + size) back, through `kept` staging where given. Waits for all work
 * submitted before.
 */
export async function readBuffer(
  gpu: Gpu,
  buffer: GPUBuffer,
  offset = 0,
  size = buffer.size - offset,
  kept?: GPUBuffer,
): Promise<ArrayBuffer> {
  const staging = kept ?? gpu.allocator.create('other', 'staging', size, 'staging');
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, bufferBytes(size));
  gpu.device.queue.submit([encoder.finish()]);
  await idle(staging.mapAsync(GPUMapMode.READ));
  const copy = staging.getMappedRange().slice(0, size);
  staging.unmap();
  if (!kept) gpu.allocator.free(staging);
  gpu.check();
  return copy;
}

/** As `readBuffer`, as floats. */
export const readF32 = async (
  gpu: Gpu,
  buffer: GPUBuffer,
  offset = 0,
  floats = (buffer.size - offset) / 4,
): Promise<Float32Array<ArrayBuffer>> =>
  new Float32Array(await readBuffer(gpu, buffer, offset, floats * 4));

const inNode =
  typeof process !== 'undefined' &&
  Boolean(process.versions?.node) &&
  typeof window === 'undefined';
const pause = inNode ? new Int32Array(new SharedArrayBuffer(4)) : null;

/**
 * Awaits a promise of the GPU. Dawn under Node spins a core while one is pending, which slows a
 * software adapter by more than half: there the thread sleeps for a millisecond a turn instead.
 */
export async function idle<T>(promise: Promise<T>): Promise<T> {
  if (!pause) return promise;
  let settled = false;
  const done = () => {
    settled = true;
  };
  promise.then(done, done);
  while (!settled) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!settled) Atomics.wait(pause, 0, 0, 1);
  }
  return promise;
}
