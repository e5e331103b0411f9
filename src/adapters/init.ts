// Where a fresh adapter starts: B is 0, so that it changes nothing.
import type { Tensor } from '../graph/tensor.ts';
import { Random } from '../util/random.ts';
import type { AdapterLayout } from './layout.ts';

/**
 * Values of the whole store: down banks ~ U(−1/√C, 1/√C) (kaiming-uniform with a = √5), B = 0
 * (method §1), matrices beside them as their method says. One stream a bank, so that a bank's
 * values depend on the seed and its name alone.
 */
export function initialValues(layout: AdapterLayout, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(layout.store.size);
  const uniform = ({ name, shape, offset }: Tensor, inputs: number) => {
    const random = new Random(seed, `init ${name}`);
    const bound = 1 / Math.sqrt(inputs);
    const size = shape[0] * shape[1];
    for (let i = 0; i < size; i++) values[offset + i] = (2 * random.uniform() - 1) * bound;
  };
  for (const { down, extra } of layout.groups.values()) {
    uniform(down, down.shape[1]);
    for (const { bank, start } of extra.values()) {
      if ('inputs' in start) uniform(bank, start.inputs);
      else values.fill(start.value, bank.offset, bank.offset + bank.shape[0] * bank.shape[1]);
    }
  }
  return values;
}
