// What tests of whole models own: the file's device, and whatever is freed when a test ends, also
// where an assertion fails.
import { test as base, onTestFinished } from 'vitest';
import type { AdapterLayout } from '../adapters/layout.ts';
import { siteDims } from '../allocation/allocation.ts';
import { readAll } from '../data/source.ts';
import { readAdapter } from '../files/adapter-files.ts';
import { type LoadedModel, loadModel } from '../model/load.ts';
import { parseChoice, withChoice } from '../ops/families.ts';
import type { Row } from '../train/batch.ts';
import { goldenFolder } from './golden.ts';
import { testGpu } from './gpu.ts';

interface Owned {
  destroy(): void;
}

/** A model with an adapter beside it, and rows to train it on. */
export interface Adapted {
  model: LoadedModel;
  layout: AdapterLayout;
  values: Float32Array<ArrayBuffer>;
  rows: Row[];
}

/** The rows of a golden data.jsonl. */
export async function goldenRows(name: string): Promise<Row[]> {
  const data = await readAll((await goldenFolder(name)).open('data.jsonl')!);
  const lines = new TextDecoder().decode(data).trim().split('\n');
  return lines.map((line) => {
    const { input_ids, labels } = JSON.parse(line) as Record<string, number[]>;
    return { ids: input_ids, labels };
  });
}

/** Destroys a thing when the running test ends, also where an assertion fails. */
export function owned<T extends Owned>(thing: T): T {
  onTestFinished(() => thing.destroy());
  return thing;
}

/** A golden model on the file's device, freed when the running test ends. */
export async function goldenModel(name: string): Promise<LoadedModel> {
  const model = await loadModel(await testGpu(), await goldenFolder(name));
  owned(model.memory);
  return model;
}

export const test = base
  .extend('gpu', { scope: 'file' }, () => testGpu())
  .extend('own', ({ gpu }, { onCleanup }) => {
    const owned: Owned[] = [];
    onCleanup(() => {
      for (const thing of owned.reverse()) thing.destroy();
      gpu.check();
    });
    /** Destroys a thing when the test ends. */
    return <T extends Owned>(thing: T): T => {
      owned.push(thing);
      return thing;
    };
  })
  .extend('load', ({ gpu, own }) => {
    /** A golden model, in the kernels that --kernels would name, or in what suits the device. */
    return async (name: string, kernels?: string) => {
      const variants =
        kernels === undefined
          ? undefined
          : await withChoice(gpu, parseChoice(kernels, 'kernels'), 'kernels');
      const model = await loadModel(gpu, await goldenFolder(name), { variants });
      own(model.memory);
      return model;
    };
  })
  .extend('adapted', ({ load, own }) => {
    /** A golden model with its adapter, and the rows of its data. */
    return async (name: string, kernels?: string): Promise<Adapted> => {
      const model = await load(name, kernels);
      const folder = await goldenFolder(`${name}/adapter`);
      const { layout, values } = await readAdapter(
        folder,
        model.config.layers,
        siteDims(model.config),
      );
      own(layout.store);
      layout.store.allocate(model.gpu, values);
      return { model, layout, values, rows: await goldenRows(name) };
    };
  });
