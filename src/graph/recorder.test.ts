// The tape: which parameters and losses a backward pass is for, passes that follow each other, and
// gradients that are written by columns.
import { expect, test } from 'vitest';
import { imagined } from '../gpu/variants.ts';
import { ParamStore } from './params.ts';
import { Recorder } from './recorder.ts';
import { sideBySide, tensor } from './tensor.ts';

const recorder = () => new Recorder(imagined(), true);
const activation = (name: string) => tensor(name, [2, 6], { requiresGrad: true });

test('a pass wants the parameters of its stores alone; losses beside the model’s can be left out', () => {
  const rec = recorder();
  const [lower, upper] = [new ParamStore(), new ParamStore()];
  const [a, g] = [lower.add('a', [2]), upper.add('g', [2])];
  const seen: unknown[] = [];
  rec.onBackward(() => seen.push([rec.wants(a), rec.wants(g), rec.auxiliary]));
  rec.backward();
  rec.backward({ into: [upper], auxiliary: false });
  rec.backward({ into: [lower] });
  expect(seen).toEqual([
    [true, true, true],
    [false, true, false],
    [true, false, true],
  ]);
  expect(rec.gradTarget(a)).toEqual({ grad: a.gradient, accumulate: 1 });
});

test('a second pass begins from the gradients that the forward pass left', () => {
  const rec = recorder();
  const [x, given] = [activation('x'), activation('given')];
  rec.aliasGrad(given, activation('d given'));
  const targets: unknown[] = [];
  rec.onBackward(() => targets.push(rec.gradTarget(x)));
  rec.backward();
  rec.backward();
  expect(targets).toEqual([
    { grad: expect.anything(), accumulate: 0 },
    { grad: expect.anything(), accumulate: 0 },
  ]);
  expect(rec.gradOf(given)?.name).toBe('d given');
});

test('gradients lie side by side as their tensors do, apart in each backward pass', () => {
  const rec = recorder();
  const part = (name: string) => ({ name, shape: [3], requiresGrad: true });
  const [x, y] = sideBySide([part('x'), part('y')]);
  const wholes = [0, 1].map(() => {
    rec.backward();
    const [dx, dy] = [x, y].map((t) => rec.gradTarget(t).grad);
    expect(dx.within).toBe(dy.within);
    expect([dx.offset, dy.offset]).toEqual([x.offset, y.offset]);
    expect(rec.gradTarget(x)).toEqual({ grad: dx, accumulate: 1 });
    return dx.within;
  });
  expect(wholes[0]).not.toBe(wholes[1]);
});

test('a checkpointed block is recorded again in the backward pass, before its own backward', () => {
  const rec = recorder();
  const order: string[] = [];
  const out = rec.checkpoint(() => {
    order.push(rec.recomputing ? 'again' : 'forward');
    rec.onBackward(() => order.push('backward'));
    return activation('out');
  });
  rec.aliasGrad(out, activation('d out'));
  rec.onBackward(() => order.push('after'));
  rec.backward();
  expect(order).toEqual(['forward', 'after', 'again', 'backward']);
});
