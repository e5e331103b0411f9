// The memory plan: which activations share a buffer. A pure function of the list of commands; needs
// no GPU.
import { type Command, operandsOf } from './recorder.ts';
import { bytesOf, type Tensor, wholeOf } from './tensor.ts';

/**
 * Finds a slot of at least each size among those held, matching largest to largest; where one is
 * missing or too small, `make` adds one.
 * @param make creates a slot; it receives the size in bytes and the index of the request
 * @returns the slot of each size
 */
export function fitSlots<S extends { size: number }>(
  held: S[],
  sizes: readonly number[],
  make: (bytes: number, index: number) => S,
): S[] {
  const out: S[] = [];
  const order = sizes.map((bytes, index) => ({ bytes, index })).sort((a, b) => b.bytes - a.bytes);
  order.forEach(({ bytes, index }, rank) => {
    if (!held[rank] || held[rank].size < bytes) held.splice(rank, 0, make(bytes, index));
    out[index] = held[rank];
  });
  return out;
}

/** Slots for activations: that of each whole tensor, and the bytes and largest tensor of each slot. */
export interface Plan {
  slots: Map<Tensor, number>;
  slotBytes: number[];
  largest: Tensor[];
}

interface Life {
  tensor: Tensor;
  first: number;
  last: number;
  bytes: number;
}

function lives(commands: readonly Command[]): Life[] {
  const found = new Map<Tensor, Life>();
  commands.forEach((c, i) => {
    for (const t of operandsOf(c).map(wholeOf)) {
      if (t.kind !== 'activation') continue;
      const life = found.get(t);
      if (life) life.last = i;
      else
        found.set(t, {
          tensor: t,
          first: i,
          last: i,
          bytes: bytesOf(t),
        });
    }
  });
  return [...found.values()];
}

/**
 * Greedy by size over live ranges, one buffer a slot (WebGPU forbids reading and writing one buffer
 * in a dispatch, so no arena).
 * @param share false gives each tensor its own buffer, to bisect aliasing bugs
 */
export function plan(commands: readonly Command[], share = true): Plan {
  const order = lives(commands).sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const slots = new Map<Tensor, number>();
  const largest: Tensor[] = [];
  const occupants: Life[][] = [];
  for (const life of order) {
    let slot = share
      ? occupants.findIndex((o) => o.every((l) => l.last < life.first || life.last < l.first))
      : -1;
    if (slot < 0) {
      slot = occupants.push([]) - 1;
      largest.push(life.tensor);
    }
    occupants[slot].push(life);
    slots.set(life.tensor, slot);
  }
  return { slots, slotBytes: largest.map(bytesOf), largest };
}

/** Bytes of the widest activation. */
export const widest = (commands: readonly Command[]): number =>
  Math.max(0, ...plan(commands).slotBytes);
