// Files from pickers and drops, and numbers as people read them.
import type { DropItem } from 'react-aria-components';
import { expect, test } from 'vitest';
import { fromDrop, fromPicker } from './files.ts';
import { bytes, duration, loss, percent, short } from './format.ts';

const picked = (path: string) =>
  Object.defineProperty(new File([path], path.split('/').at(-1)!), 'webkitRelativePath', {
    value: path,
  });
const names = (files: readonly File[]) => files.map((f) => f.name);

test('a picked folder gives its own files, not those of its subfolders', () => {
  const list = ['model/config.json', 'model/onnx/model.onnx', 'model/tokenizer.json'].map(picked);
  const chosen = fromPicker(list as unknown as FileList);
  expect(chosen.name).toBe('model');
  expect(names(chosen.files)).toEqual(['config.json', 'tokenizer.json']);
  expect(fromPicker(null).files).toEqual([]);
});

test('a dropped folder or dropped files are flattened in the same way', async () => {
  const file = (name: string) => ({
    kind: 'file',
    name,
    getFile: async () => new File(['x'], name),
  });
  const folder = (name: string, entries: unknown[]) => ({
    kind: 'directory',
    name,
    getEntries: async function* () {
      yield* entries;
    },
  });
  const drop = (...items: unknown[]) => fromDrop(items as DropItem[]);
  const dropped = await drop(
    folder('qwen', [file('config.json'), folder('deep', [file('no.txt')])]),
    { kind: 'text' },
  );
  expect([dropped.name, names(dropped.files)]).toEqual(['qwen', ['config.json']]);
  expect(names((await drop(file('a.jsonl'), file('b.csv'))).files)).toEqual(['a.jsonl', 'b.csv']);
});

test('numbers', () => {
  expect([short(9999), short(12_345), short(1_234_567), short(7.2e9)]).toEqual([
    '9,999',
    '12.3 k',
    '1.2 M',
    '7.2 B',
  ]);
  expect([bytes(12), bytes(1536), bytes(2 ** 30)]).toEqual(['12 B', '1.5 KiB', '1.0 GiB']);
  expect([duration(3.4), duration(60), duration(200), duration(7500)]).toEqual([
    '3 s',
    '1 min',
    '3 min 20 s',
    '2 h 5 min',
  ]);
  expect([loss(123.45), loss(1.23456), loss(0.0065912), loss(1e-6)]).toEqual([
    '123.5',
    '1.235',
    '0.00659',
    '1.0e-6',
  ]);
  expect([percent(0, 0), percent(1, 400), percent(1, 4), percent(399, 400), percent(3, 3)]).toEqual(
    ['0 %', '0.3 %', '25 %', '99.8 %', '100 %'],
  );
});
