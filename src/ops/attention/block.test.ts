// Attention in blocks, counted: workgroups, what each reads, and its memory; no GPU.
import { describe, expect, test } from 'vitest';
import { imagined } from '../../gpu/variants.ts';
import { blank } from '../../graph/family.ts';
import { type Dispatch, Recorder } from '../../graph/recorder.ts';
import { attentions } from './attention.ts';
import { block, blocksFor, workgroupBytes } from './block.ts';
import type { Attention } from './case.ts';

const passes = ['forward', 'dq', 'dkv'] as const;
const withMemory = (workgroupBytes: number) => ({ ...imagined().device, workgroupBytes });

/** An attention with one document a row. */
function attentionOf(size: Attention['size'], seqLen: number, capacity = seqLen): Attention {
  const { heads, kvHeads, headDim } = size;
  const [q, o] = ['q', 'o'].map((name) => blank(name, seqLen, heads * headDim));
  const [k, v] = ['k', 'v'].map((name) => blank(name, capacity, kvHeads * headDim));
  const [positions, softmax] = [blank('positions', seqLen), blank('softmax', heads * seqLen, 2)];
  const cached = capacity > seqLen;
  return { rows: 1, seqLen, capacity, cached, size, positions, q, k, v, o, softmax };
}

function launches(c: Attention, bytes = 32768): Dispatch[] {
  const rec = new Recorder({ device: withMemory(bytes), names: {} }, false);
  block.record(rec, c);
  const gradients = { d_o: c.o, d_q: c.q, d_k: c.k, d_v: c.v };
  if (!c.cached) block.record(rec, { ...c, gradients });
  return rec.commands.filter((command) => command.type === 'dispatch');
}

const constantsOf = (code: string): Record<string, number> =>
  Object.fromEntries(
    [...code.matchAll(/^const (\w+) = (\d+)u;/gm)].map(([, name, value]) => [name, Number(value)]),
  );

describe('SmolLM2: 9 heads that share 3, of 64, one row of 1,024 tokens', () => {
  const c = attentionOf({ heads: 9, kvHeads: 3, headDim: 64 }, 1024);

  test('every pass has a workgroup for each of 132 processors', () => {
    expect(launches(c).map((l) => l.workgroups)).toEqual([
      [96, 3, 1], // 1,024 · 3 queries of a key–value head, 32 a workgroup
      [96, 3, 1],
      [64, 3, 1], // 1,024 keys, 16 a workgroup
    ]);
    for (const { workgroups } of launches(c))
      expect(workgroups.reduce((a, b) => a * b)).toBeGreaterThanOrEqual(132);
  });

  test('a query block reads a key block once, and a key block a query block', () => {
    const codes = launches(c).map((l) => l.kernel.code.replace(/\/\/.*/g, ''));
    const loads = codes.map((code) => {
      const main = code.slice(code.indexOf('@compute'), code.indexOf('alias'));
      const loop = main.search(/for \((var g0|; block|var block)/);
      const names = (text: string) => [...text.matchAll(/ load_(\w+)\(/g)].map((m) => m[1]);
      return [names(main.slice(0, loop)), names(main.slice(loop))];
    });
    expect(loads).toEqual([
      [['q'], ['k', 'v']],
      [
        ['q', 'd_o'],
        ['v', 'k'],
      ],
      [
        ['k', 'v'],
        ['q', 'd_o'],
      ],
    ]);
    for (const code of codes)
      for (const name of ['q', 'k', 'v']) expect(code.split(`= ${name}[`)).toHaveLength(2);
  });

  test('an answer splits the keys of its cache over workgroups', () => {
    const [split, join] = launches(attentionOf(c.size, 1, 1024));
    expect(split.workgroups).toEqual([1, 3, 32]); // 32 keys each
    expect(split.tensors.map((t) => t.shape.join('×'))).toContain('32×9×64');
    expect(join.kernel.name).toMatch(/join/);
    expect(launches(attentionOf(c.size, 16, 1024))).toHaveLength(1);
  });
});

test('the blocks of every head size up to 256 fit in 16 KiB, and are larger in 32', () => {
  for (let headDim = 1; headDim <= 256; headDim++) {
    for (const pass of passes) {
      const areas = [16384, 32768].map((bytes) => {
        const found = blocksFor(pass, headDim, withMemory(bytes))!;
        expect(workgroupBytes(pass, found, headDim)).toBeLessThanOrEqual(bytes);
        return found.own * found.other;
      });
      expect(areas[1]).toBeGreaterThanOrEqual(areas[0]);
      if (headDim >= 64) expect(areas[1]).toBeGreaterThan(areas[0]);
    }
  }
});

test.each([7, 10, 64, 80, 128, 256])('heads of %i: the memory is what the texts declare', (d) => {
  for (const bytes of [16384, 32768])
    launches(attentionOf({ heads: 2, kvHeads: 1, headDim: d }, 40), bytes).forEach((l, i) => {
      const values = constantsOf(l.kernel.code);
      const length = (text: string) =>
        text
          .replace('PITCH', '(OTHER + 1u)')
          .replace(/[A-Z_]+/g, (name) => String(values[name]))
          .replace(/u\b/g, '');
      const width = d % 4 === 0 ? 4 : d % 2 === 0 ? 2 : 1;
      const declared = [...l.kernel.code.matchAll(/var<workgroup> \w+: array<(\w+), ([^>]+)>/g)];
      const sizes = declared.map(([, type, text]) => {
        const factors = length(text)
          .split('*')
          .map((f) => f.match(/\d+/g)!.map(Number));
        const count = factors.reduce((a, f) => a * f.reduce((x, y) => x + y), 1);
        return 16 * Math.ceil((count * (type === 'Part' ? width : 1)) / 4);
      });
      const found = blocksFor(passes[i], d, withMemory(bytes))!;
      expect(sizes.reduce((a, b) => a + b)).toBe(workgroupBytes(passes[i], found, d));
    });
});

test('larger heads, and less memory, are left to a thread each', () => {
  const c = attentionOf({ heads: 1, kvHeads: 1, headDim: 256 }, 8);
  const { device } = imagined();
  expect(block.can(device, c)).toBe(true);
  expect(block.can(device, { ...c, size: { ...c.size, headDim: 260 } })).toBe(false);
  expect(block.can({ ...device, workgroupBytes: 8192 }, c)).toBe(false);
  expect(attentions.variants[0].can({ ...device, workgroupBytes: 0 }, c)).toBe(true);
});
