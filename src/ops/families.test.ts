// Choices of kernels as --kernels reads them, and which variant a case gets; no GPU.
import { expect, test } from 'vitest';
import { imagined } from '../gpu/variants.ts';
import { blank, variantFor } from '../graph/family.ts';
import { parseChoice, presets, SMOLLM2 } from './families.ts';
import { products } from './product/product.ts';

const read = (text: string) => parseChoice(text, '--kernels');

test('presets, families, classes of cases, and the short words of products', () => {
  expect(read('gpu')).toEqual(presets.gpu);
  expect(read('register')).toEqual({ product: 'register' });
  expect(read('cpu,product=tile')).toEqual({ ...presets.cpu, product: 'tile' });
  expect(read('product/narrow=register,rows=thread')).toEqual({
    'product/narrow': 'register',
    rows: 'thread',
  });
});

test.each(['best', 'toString', 'product=best', 'products=tile', 'product/round=tile', '', 'rows='])(
  '"%s" is refused with what there is',
  (word) => {
    expect(() => read(word)).toThrow(
      `--kernels has "${word}", which is not one of gpu, cpu, product=tile|register|subgroup|half, rows=`,
    );
  },
);

test('a case gets the variant of its class, else of its family, else the first that can', () => {
  const [wide, , narrow] = products.bench(SMOLLM2).map(({ c }) => c);
  const nameFor = (names: Record<string, string>, c = wide) =>
    variantFor(imagined(names), products, c).name;
  const names = { product: 'subgroup', 'product/narrow': 'register' };
  expect([nameFor(names), nameFor(names, narrow), nameFor({})]).toEqual([
    ...['subgroup', 'register', 'tile'],
  ]);
  const none = { ...imagined(names), device: { ...imagined().device, subgroup: null } };
  expect(variantFor(none, products, wide).name).toBe('tile');
  // Rows of blocks that cannot be read by fours.
  const [p] = wide;
  const right = { ...p.right, tensor: { ...blank('q', 1536, 576), dtype: 'q4_0' } as const };
  expect(nameFor(names, [{ ...p, right, left: { ...p.left, start: 1 } }])).toBe('tile');
});
