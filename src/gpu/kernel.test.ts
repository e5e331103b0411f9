// A kernel's interface as read from its WGSL, and the packing of its constants.
import { expect, test } from 'vitest';
import { constantsOf, defineKernel, kernelKey, packParams, packStep } from './kernel.ts';

const code = `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { n: u32, shift: i32, scale: f32 }
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<uniform> step: Step;
@compute @workgroup_size(1) fn main() {}`;

test('bindings, access and params come from the text', () => {
  const k = defineKernel('k', code);
  expect(k.bindings).toEqual([
    { name: 'x', access: 'read' },
    { name: 'y', access: 'read_write' },
  ]);
  expect(k.params.map((p) => `${p.name}:${p.type}`)).toEqual(['n:u32', 'shift:i32', 'scale:f32']);
  expect(k.usesStep).toBe(true);
  expect(k.code).toContain('struct Step');
});

test('params are packed by type; a missing, unknown or NaN one is refused', () => {
  const k = defineKernel('k', code);
  const view = new DataView(packParams(k, { n: 4294967295, shift: -2, scale: 0.5 }));
  expect([view.getUint32(0, true), view.getInt32(4, true), view.getFloat32(8, true)]).toEqual([
    4294967295, -2, 0.5,
  ]);
  expect(() => packParams(k, { n: 1, shift: 0 })).toThrow('scale');
  expect(() => packParams(k, { n: 1, shift: 0, scale: 1, other: 2 })).toThrow('other');
  expect(() => packParams(k, { n: 1, shift: 0, scale: Number.NaN })).toThrow('scale');
});

test("a module's constants are read from its text; other names are refused", () => {
  const names = ['crossEntropy', 'tokens', 'balance', 'gradNorm', 'clip', 'sentinel', 'size'];
  const { size, ...places } = constantsOf('statistics', names);
  expect([places.gradNorm, size]).toEqual([3, 16]);
  expect(new Set(Object.values(places)).size).toBe(names.length - 1);
  expect(Math.max(...Object.values(places))).toBeLessThan(size);
  expect(() => constantsOf('statistics', names.slice(1))).toThrow('declares crossEntropy');
  expect(() => constantsOf('statistics', [...names.slice(1), 'x'])).toThrow('declares');
});

test('the step uniform is packed as step.wgsl says; an unknown scalar is refused', () => {
  const view = new DataView(packStep({ learning_rate: 0.5, seed: 7, micro: undefined }));
  expect([view.getFloat32(0, true), view.getUint32(32, true), view.getUint32(40, true)]).toEqual([
    0.5, 7, 0,
  ]);
  expect(() => packStep({ rate: 1 })).toThrow('rate');
});

test('texts that break the conventions are refused', () => {
  expect(() => defineKernel('k', code.replace('@binding(1)', '@binding(5)'))).toThrow(
    '@binding(1)',
  );
  expect(() => defineKernel('k', code.replace('step: Step', 'other: Step'))).toThrow(
    'params, then step',
  );
});

test('modules are joined once each, with those that they use and what they enable first', () => {
  const text = `// uses: reduce, grid\nenable f16;\n${code}`;
  const k = defineKernel('k', text, { uses: ['rows/workgroup'], constants: { threads: 32 } });
  expect(k.code.startsWith('enable f16;\n')).toBe(true);
  expect(k.code.match(/enable f16/g)).toHaveLength(1);
  for (const declared of ['struct Grid', 'fn workgroup_sum', 'fn row_sum', 'struct Step'])
    expect(k.code.split(declared)).toHaveLength(2);
  expect(kernelKey(k)).not.toBe(kernelKey(defineKernel('k', text)));
  expect(() => defineKernel('k', `// uses: nothing\n${code}`)).toThrow('lib/nothing.wgsl');
});
