// Standard initialisation of an adapter: A and the routers kaiming-uniform, B zero.
import { Random } from '../util/random.ts';
import type { AdapterLayout } from './layout.ts';

/**
 * Values of the whole store: A and W_r ~ U(−1/√C, 1/√C) (kaiming-uniform with a = √5), B = 0, so
 * that a fresh adapter changes nothing (method §1). One stream a bank, so that a bank's values
 * depend on the seed and its name alone.
 */
export function initialValues(layout: AdapterLayout, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(layout.store.size);
  for (const group of layout.groups.values()) {
    const [rows, inputs] = group.down.shape;
    const random = new Random(seed, `init ${group.down.name}`);
    const bound = 1 / Math.sqrt(inputs);
    for (let i = 0; i < rows * inputs; i++)
      values[group.down.offset + i] = (2 * random.uniform() - 1) * bound;
  }
  return values;
}
