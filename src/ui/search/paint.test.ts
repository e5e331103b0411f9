// The heatmaps' pure parts: layout, moves, means, looks, colours, and what is drawn for them.
import { describe, expect, test } from 'vitest';
import {
  sitePaths,
  type targetNames,
  targetOf,
  uniformAllocation,
} from '../../allocation/allocation.ts';
import { RecentRouting } from '../../state/recent-routing.ts';
import type { SearchFrame } from '../../state/search-history.ts';
import {
  allocationLooks,
  changedSites,
  levels,
  meanRankLooks,
  rankLooks,
  routingLooks,
  sizeLooks,
} from './cell-values.ts';
import { blend, contrast, inkOn, parseHex, type Rgb, rampColor } from './color.ts';
import { cellLayout, layerOf, margins, moved } from './grid.ts';
import {
  drawAllocation,
  drawRanks,
  drawRouting,
  drawSizes,
  fillOf,
  type Surface,
} from './paint.ts';
import type { Palette } from './palette.ts';
import { cellBox, marginTexts, sizesFor } from './useCanvas.ts';

const sitesOf = (layers: number, targets: readonly (typeof targetNames)[number][]) =>
  sitePaths(layers, targets).map((path) => ({
    path,
    layer: layerOf(path),
    target: targetOf(path),
  }));

describe('layout', () => {
  const layout = cellLayout(sitesOf(3, ['q_proj', 'v_proj', 'down_proj']));

  test('layers are columns, linears rows in the order of a layer', () => {
    expect(layout.rows).toEqual(['q_proj', 'v_proj', 'down_proj']);
    expect(layout.columns).toEqual([0, 1, 2]);
    expect(Array.from(layout.site)).toEqual([0, 3, 6, 1, 4, 7, 2, 5, 8]);
    expect(Array.from(layout.cell, (c) => layout.site[c])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('a missing site leaves an empty cell', () => {
    const holed = cellLayout(sitesOf(2, ['q_proj', 'k_proj']).slice(0, 3));
    expect(Array.from(holed.site)).toEqual([0, 2, 1, -1]);
    expect(
      Array.from(
        margins(
          holed,
          () => 5,
          () => 1,
        ).columns,
      ),
    ).toEqual([5, 5]);
  });

  test.each([
    [4, 'ArrowLeft', false, 3],
    [3, 'ArrowLeft', false, 3],
    [4, 'ArrowRight', false, 5],
    [5, 'ArrowRight', false, 5],
    [4, 'ArrowUp', false, 1],
    [1, 'ArrowUp', false, 1],
    [4, 'ArrowDown', false, 7],
    [7, 'ArrowDown', false, 7],
    [4, 'Home', false, 3],
    [4, 'End', false, 5],
    [4, 'Home', true, 0],
    [4, 'End', true, 8],
    [4, 'a', false, null],
  ])('from cell %i %s (Ctrl %s) leads to %s', (from, key, control, to) => {
    expect(moved(layout, from, key, control)).toBe(to);
  });

  test('means are weighted; NaN where there is no weight', () => {
    const value = [2, 4, 6, 0, 0, 0, 10, 0, 6];
    const weight = [1, 1, 2, 0, 0, 0, 3, 0, 0];
    const { rows, columns } = margins(
      layout,
      (s) => value[s],
      (s) => weight[s],
    );
    expect(Array.from(columns)).toEqual([3, Number.NaN, 16 / 3]);
    expect(Array.from(rows)).toEqual([3, 4, 6]);
  });

  test('cells are 24 pixels wide at least, do not overlap, and leave a gap before the MLP', () => {
    for (const available of [200, 500, 2000]) {
      const sizes = sizesFor(layout, available, 32, true);
      expect(sizes.cellWidth).toBeGreaterThanOrEqual(24);
      const boxes = Array.from(layout.cell, (c) => cellBox(layout, c, sizes));
      expect(boxes[3].x - boxes[0].x).toBe(sizes.cellWidth);
      expect(boxes[1].y - boxes[0].y).toBe(32);
      expect(boxes[2].y - boxes[1].y).toBe(38);
      for (const box of boxes) expect(box.x + box.width).toBeLessThan(sizes.width);
      const texts = marginTexts(
        layout,
        margins(
          layout,
          () => 1,
          () => 1,
        ),
        sizes,
      );
      expect(texts.map((t) => t.text)).toEqual(Array(6).fill('1.0'));
      expect(texts[5].y).toBeLessThan(sizes.height);
    }
  });
});

/** Three experts at three sites: 2 open, closed, 1 open. */
const frame: SearchFrame = {
  step: 5,
  loss: 1,
  lambda: 0,
  share: 0,
  sizes: Uint16Array.from([2, 0, 1]),
  counts: Uint16Array.from([2, 0, 1]),
  confidence: Float32Array.from([0.71, 0.2, 1]),
  settled: Uint8Array.from([1, 0, 0]),
  ranks: Uint16Array.from([3, 4, 1, 8, 8, 8, 6, 1, 2]),
  totals: { experts: 3, open: 2, meanRank: 0, parameters: 0, uniform: 0, settled: 1 },
};

describe('looks', () => {
  test('sizes: size + 1, tenths sure, settled', () => {
    expect(Array.from(sizeLooks(frame, 3).values)).toEqual([3, 7, 1, 1, 2, 0, 2, 10, 0]);
  });
  test('ranks: count + 1, every rank', () => {
    expect(Array.from(rankLooks(frame, 3, 3).values)).toEqual([3, 3, 4, 1, 1, 8, 8, 8, 2, 6, 1, 2]);
  });
  test('mean ranks: of open experts, in tenths', () => {
    expect(Array.from(meanRankLooks(frame, 3, 3).values)).toEqual([3, 35, 1, 0, 2, 60]);
  });
  test('not yet known is unlike closed', () => {
    for (const looks of [sizeLooks(null, 3), rankLooks(null, 3, 3), meanRankLooks(null, 3, 3)]) {
      expect(Array.from(looks.values)).toEqual(Array(looks.values.length).fill(0));
    }
  });
  test('routing: shares in hundredths, a thousand more where dead', () => {
    const routing = new RecentRouting([
      { path: 'model.layers.0.self_attn.q_proj', experts: 3 },
      { path: 'model.layers.0.self_attn.k_proj', experts: 0 },
      { path: 'model.layers.0.self_attn.v_proj', experts: 1 },
    ]);
    routing.append([0.75, 0.24, 0.01, 1]);
    expect(Array.from(routingLooks(routing, 3).values)).toEqual([
      4, 75, 24, 1001, 1, 0, 0, 0, 2, 100, 0, 0,
    ]);
  });
  test('an allocation: count + 1, locked, ranks', () => {
    const allocation = uniformAllocation(1, ['q_proj', 'k_proj'], 2, 5);
    const paths = Object.keys(allocation.experts);
    const looks = allocationLooks(paths, allocation, new Set([paths[1]]), 3);
    expect(Array.from(looks.values)).toEqual([3, 0, 5, 5, 0, 3, 1, 5, 5, 0]);
  });
  test('only sites that look different are painted again', () => {
    const before = sizeLooks(frame, 3);
    const after = sizeLooks({ ...frame, confidence: Float32Array.from([0.72, 0.2, 0.8]) }, 3);
    expect(changedSites(null, before)).toEqual([0, 1, 2]);
    expect(changedSites(before, after)).toEqual([2]);
    expect(changedSites(before, rankLooks(frame, 3, 3))).toEqual([0, 1, 2]);
  });
});

const cards: [string, Rgb][] = [
  ['light', parseHex('#fff')],
  ['dark', parseHex('#171d1c')],
];

describe('colours', () => {
  test('hex of three and six digits', () => {
    expect(parseHex(' #fff')).toEqual([255, 255, 255]);
    expect(parseHex('#0f766e')).toEqual([15, 118, 110]);
  });

  test.each(cards)('numbers can be read on every fill in the %s theme', (_, card) => {
    for (let count = 1; count <= 8; count++) {
      for (let level = 0; level <= levels; level++) {
        const fill = fillOf(count, 8, level, card);
        expect(contrast(inkOn(fill), fill)).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  // Machado, Oliveira and Fernandes 2009, severity 1, on linear light.
  const deficiencies: Record<string, number[][]> = {
    protanopia: [
      [0.152286, 1.052583, -0.204868],
      [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998],
    ],
    deuteranopia: [
      [0.367322, 0.860646, -0.227968],
      [0.280085, 0.672501, 0.047413],
      [-0.01182, 0.04294, 0.968881],
    ],
    tritanopia: [
      [1.255528, -0.076749, -0.178779],
      [-0.078411, 0.930809, 0.147602],
      [0.004733, 0.691367, 0.3039],
    ],
    none: [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
  };
  const linear = (v: number) => (v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);

  /** CIE L*a*b* (D65) of a colour as a person with the deficiency sees it. */
  function lab(color: Rgb, matrix: number[][]): number[] {
    const rgb = matrix.map((row) =>
      Math.min(
        1,
        Math.max(
          0,
          row.reduce((sum, m, i) => sum + m * linear(color[i]), 0),
        ),
      ),
    );
    const xyz = [
      (0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2]) / 0.9505,
      0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2],
      (0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2]) / 1.089,
    ].map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116));
    return [116 * xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])];
  }

  test.each(Object.entries(deficiencies))(
    'neighbouring counts differ for eyes with %s',
    (_, matrix) => {
      for (let count = 1; count < 8; count++) {
        const [a, b] = [lab(rampColor(count, 8), matrix), lab(rampColor(count + 1, 8), matrix)];
        // 2.3 is just noticeable
        expect(Math.hypot(...a.map((v, i) => v - b[i]))).toBeGreaterThan(8);
        expect(b[0]).toBeGreaterThan(a[0]); // and each is lighter than the one before
      }
    },
  );

  test('blending goes from ground to colour', () => {
    expect(blend([200, 100, 0], [0, 0, 100], 0)).toEqual([0, 0, 100]);
    expect(blend([200, 100, 0], [0, 0, 100], 0.5)).toEqual([100, 50, 50]);
  });
});

/** A canvas that writes down what is drawn. */
function recorder() {
  const calls: { name: string; args: unknown[]; fill: unknown }[] = [];
  const target: Record<string, unknown> = { fillStyle: '' };
  const on = new Proxy(target, {
    get: (_, name: string) =>
      name in target
        ? target[name]
        : (...args: unknown[]) => calls.push({ name, args, fill: target.fillStyle }),
  });
  return {
    on: on as unknown as Surface,
    calls,
    texts: () => calls.filter((c) => c.name === 'fillText').map((c) => c.args[0]),
  };
}

const palette: Palette = {
  forced: false,
  card: [255, 255, 255],
  sunk: 'sunk',
  ink: 'ink',
  muted: 'muted',
  line: 'line',
  lineStrong: 'strong',
  accent: 'accent',
  warn: 'warn',
};
const box = { x: 10, y: 20, width: 30, height: 40 };

describe('drawing', () => {
  const draw = drawSizes(8);

  test('a count shows its number, closed 0, unknown none', () => {
    for (const [look, want] of [
      [[5, 3, 0], ['4']],
      [[1, 3, 0], ['0']],
      [[0, 0, 0], []],
    ] as const) {
      const { on, texts } = recorder();
      draw(on, box, Uint16Array.from(look), palette);
      expect(texts()).toEqual(want);
    }
  });

  test('settled adds a dot, confidence is the length of the bar', () => {
    const { on, calls } = recorder();
    draw(on, box, Uint16Array.from([5, 5, 1]), palette);
    expect(calls.filter((c) => c.name === 'arc')).toHaveLength(1);
    expect(calls.findLast((c) => c.name === 'fillRect')!.args).toEqual([13, 56, 12, 2]);
    const unsettled = recorder();
    draw(unsettled.on, box, Uint16Array.from([5, 5, 0]), palette);
    expect(unsettled.calls.filter((c) => c.name === 'arc')).toHaveLength(0);
  });

  test('in forced colours nothing is filled but ink', () => {
    const { on, calls } = recorder();
    draw(on, box, Uint16Array.from([5, 5, 1]), { ...palette, forced: true });
    expect(new Set(calls.filter((c) => c.name.startsWith('fill')).map((c) => c.fill))).toEqual(
      new Set(['ink']),
    );
  });

  test('a bar per expert, its height the rank; closed ones pale', () => {
    const { on, calls } = recorder();
    drawRanks(8)(on, box, Uint16Array.from([3, 8, 4, 2]), palette);
    const bars = calls.filter((c) => c.name === 'fillRect' && c.fill !== 'sunk');
    expect(bars.map((c) => c.args[3])).toEqual([36, 18, 9]);
    expect(bars.map((c) => c.fill)).toEqual(['accent', 'accent', 'line']);
    for (const { args } of bars) expect((args[1] as number) + (args[3] as number)).toBe(58);
  });

  test('a dead expert is hatched, its neighbour is not', () => {
    const { on, calls } = recorder();
    drawRouting(on, box, Uint16Array.from([3, 99, 1001]), palette);
    const hatches = calls.filter((c) => c.name === 'moveTo');
    expect(hatches.length).toBeGreaterThan(3);
    for (const { args } of hatches) expect(args[0]).toBeGreaterThanOrEqual(25); // the second slot
    expect(calls.filter((c) => c.name === 'fillRect').map((c) => c.fill)).toEqual([
      'sunk',
      'accent',
      'warn',
    ]);
  });

  test('locked cells carry a padlock, also where closed', () => {
    const locks = [
      [3, 1, 4, 4],
      [1, 1, 0, 0],
      [3, 0, 4, 4],
    ].map((look) => {
      const { on, calls } = recorder();
      drawAllocation(4, 8)(on, box, Uint16Array.from(look), palette);
      return calls.filter((c) => c.name === 'arc').length;
    });
    expect(locks).toEqual([1, 1, 0]);
  });
});
