// Writes small GGUF files for tests: metadata of any type, tensors of any bytes.
import { bytesSource } from '../data/source.ts';

/** A metadata value with its type: u32, f32, bool, text, and lists of texts and numbers. */
export type GgufValue =
  | number
  | boolean
  | string
  | readonly string[]
  | Int32Array
  | Float32Array
  | { f32: number };

export interface GgufTensor {
  name: string;
  /** Row-major. */
  shape: readonly number[];
  /** ggml's type number. */
  type: number;
  bytes: Uint8Array;
}

/** The bytes of a GGUF file of version 3. */
export function writeGguf(
  metadata: Record<string, GgufValue>,
  tensors: readonly GgufTensor[] = [],
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const bytes = (n: number, set: (view: DataView) => void) => {
    const view = new DataView(new ArrayBuffer(n));
    set(view);
    parts.push(new Uint8Array(view.buffer));
  };
  const u32 = (v: number) => bytes(4, (d) => d.setUint32(0, v, true));
  const u64 = (v: number) => bytes(8, (d) => d.setBigUint64(0, BigInt(v), true));
  const f32 = (v: number) => bytes(4, (d) => d.setFloat32(0, v, true));
  const text = (v: string) => {
    const encoded = new TextEncoder().encode(v);
    u64(encoded.length);
    parts.push(encoded);
  };
  const list = (type: number, length: number) => {
    for (const v of [9, type]) u32(v);
    u64(length);
  };
  parts.push(new TextEncoder().encode('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    text(key);
    if (typeof value === 'number') {
      u32(4);
      u32(value);
    } else if (typeof value === 'boolean') {
      u32(7);
      parts.push(Uint8Array.of(Number(value)));
    } else if (typeof value === 'string') {
      u32(8);
      text(value);
    } else if (value instanceof Int32Array || value instanceof Float32Array) {
      list(value instanceof Int32Array ? 5 : 6, value.length);
      parts.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    } else if ('f32' in value) {
      u32(6);
      f32(value.f32);
    } else {
      list(8, value.length);
      value.forEach(text);
    }
  }
  const align = (n: number) => Math.ceil(n / 32) * 32;
  let offset = 0;
  for (const t of tensors) {
    text(t.name);
    u32(t.shape.length);
    [...t.shape].reverse().forEach(u64);
    u32(t.type);
    u64(offset);
    offset += align(t.bytes.length);
  }
  const pad = () => {
    const size = parts.reduce((a, p) => a + p.length, 0);
    parts.push(new Uint8Array(align(size) - size));
  };
  pad();
  for (const t of tensors) {
    parts.push(t.bytes);
    pad();
  }
  const out = new Uint8Array(parts.reduce((a, p) => a + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** As writeGguf, as a source. */
export const ggufSource = (
  metadata: Record<string, GgufValue>,
  tensors: readonly GgufTensor[] = [],
  name = 'm.gguf',
) => bytesSource(writeGguf(metadata, tensors), name);
