// @vitest-environment happy-dom
// The heatmaps as people without a mouse or without eyes meet them: labels, roving focus, table
// twins, scrubbing, the inspector.
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type Allocation,
  rankKey,
  sitePaths,
  targetNames,
  targetOf,
  uniformAllocation,
} from '../../allocation/allocation.ts';
import { parseRunConfig, searches } from '../../settings/run-config.ts';
import { createActions } from '../../state/actions.ts';
import { RecentRouting } from '../../state/recent-routing.ts';
import { type AppStore, createAppStore } from '../../state/store.ts';
import type { SearchReport, UpperSeries } from '../../worker/protocol/api.ts';
import type { Client } from '../../worker/protocol/client.ts';
import { AppContext } from '../context.ts';
import { useShortcuts } from '../shell/useShortcuts.ts';
import { AllocationGrid } from './AllocationGrid.tsx';
import { still } from './cell-values.ts';
import { cellLayout, layerOf } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { RoutingHeatmap } from './RoutingHeatmap.tsx';
import { SearchLive } from './SearchLive.tsx';

afterEach(cleanup);

const [experts, rank, layers] = [4, 3, 2];

function report(): SearchReport {
  const config = parseRunConfig({ search: {} }, 'test');
  if (!searches(config)) throw new Error('no search');
  const sites = sitePaths(layers, targetNames).map((path) => ({
    path,
    layer: layerOf(path),
    target: targetOf(path),
    inputs: 8,
    outputs: 16,
  }));
  return {
    config,
    sites,
    sizes: 'experts',
    experts,
    rank,
    topK: 1,
    closable: true,
    steps: 20,
    parameters: 1,
    microSteps: 2,
    trainRows: 8,
    validationRows: 0,
  };
}

/** One step in which every site has `count` experts, all of rank `best`. */
function series(of: SearchReport, step: number, count: number, best: number): UpperSeries {
  const stride = experts + 1 + experts * rank;
  const one = (i: number) => (i <= experts ? i === count : (i - experts - 1) % rank === best - 1);
  return {
    step: Float64Array.of(step),
    loss: Float64Array.of(1),
    lambda: Float64Array.of(0),
    share: Float64Array.of(0),
    values: Float32Array.from({ length: stride * of.sites.length }, (_, i) =>
      one(i % stride) ? 3 : 0,
    ),
  };
}

const grid = (name: string) => screen.getByRole('grid', { name });
const cells = (name: string) => within(grid(name)).getAllByRole('gridcell');
const layer1k = 'Layer 1, k_proj';
/** Places in the grid row by row: k_proj is the second row of two cells. */
const at1k = 3;
const inspector = () => screen.getByTestId('inspector').textContent;

function Keyboard() {
  useShortcuts();
  return null;
}

describe('the search, live', () => {
  let of: SearchReport;
  let app: AppStore;
  const append = (...args: [step: number, count: number, best: number]) =>
    act(() => app.dispatch({ type: 'upper', series: series(of, ...args), total: of.steps }));

  beforeEach(() => {
    vi.useFakeTimers();
    of = report();
    app = createAppStore();
    app.dispatch({ type: 'search-began', report: of });
    render(
      <AppContext value={{ app, actions: createActions(app, {} as Client) }}>
        <Keyboard />
        <SearchLive history={app.history!} />
      </AppContext>,
    );
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('before the start every cell is not yet known, which is not 0', () => {
    expect(cells('Experts by layer and linear')).toHaveLength(14);
    expect(cells('Experts by layer and linear')[at1k].getAttribute('aria-label')).toBe(
      `${layer1k}: not yet known`,
    );
    expect(inspector()).toContain('No values yet');
  });

  test('labels say count, confidence and what was before', () => {
    append(0, 4, 2);
    append(1, 2, 3);
    act(() => vi.advanceTimersByTime(3000));
    expect(cells('Experts by layer and linear')[at1k].getAttribute('aria-label')).toBe(
      `${layer1k}: 2 experts, 83 % sure, was 4`,
    );
    expect(cells('Ranks by layer and linear')[at1k].getAttribute('aria-label')).toBe(
      `${layer1k}: ranks 3, 3; closed experts 3, 3`,
    );
    append(2, 0, 3);
    act(() => vi.advanceTimersByTime(3000));
    expect(cells('Experts by layer and linear')[at1k].getAttribute('aria-label')).toBe(
      `${layer1k}: closed, 0 experts, 83 % sure, was 2`,
    );
    expect(cells('Ranks by layer and linear')[at1k].getAttribute('aria-label')).toBe(
      `${layer1k}: closed, no ranks`,
    );
  });

  test('one cell of a grid is in the order of Tab; arrows, Home and End move; the inspector follows', () => {
    append(0, 3, 2);
    act(() => vi.advanceTimersByTime(1000));
    const all = cells('Experts by layer and linear');
    expect(all.filter((c) => c.tabIndex === 0)).toEqual([all[0]]);
    act(() => all[0].focus());
    fireEvent.keyDown(all[0], { key: 'ArrowDown' });
    expect(document.activeElement).toBe(all[2]);
    fireEvent.keyDown(all[2], { key: 'End' });
    expect(document.activeElement).toBe(all[at1k]);
    expect(all.filter((c) => c.tabIndex === 0)).toEqual([all[at1k]]);
    expect(all[at1k].getAttribute('aria-selected')).toBe('true');
    // Selection is one for both heatmaps.
    expect(cells('Ranks by layer and linear')[at1k].getAttribute('aria-selected')).toBe('true');
    expect(inspector()).toContain(layer1k);
    expect(inspector()).toContain('3 experts, 83 % sure');
    expect(inspector()).toContain(`Parameters${3 * (2 * 24 + 8)}`);
    fireEvent.keyDown(all[at1k], { key: 'End', ctrlKey: true });
    expect(document.activeElement).toBe(all[13]);
  });

  test('[ and ] go through the steps, everything follows, and Live comes back', () => {
    for (let step = 0; step <= 3; step++) append(step, step + 1, 1 + (step % 3));
    act(() => cells('Experts by layer and linear')[0].focus());
    fireEvent.keyDown(document.body, { key: '[' });
    fireEvent.keyDown(document.body, { key: '[' });
    const live = screen.getByTestId('search-live');
    expect(live.dataset.step).toBe('1');
    append(4, 0, 1);
    expect(live.dataset.step).toBe('1');
    expect(screen.getByTestId('sizes-heatmap').dataset.step).toBe('1');
    expect(screen.getByTestId('ranks-heatmap').dataset.step).toBe('1');
    expect(screen.getByTestId('search-totals').dataset.experts).toBe(String(14 * 2));
    expect(inspector()).toContain('2 experts');
    fireEvent.keyDown(document.body, { key: ']' });
    expect(live.dataset.step).toBe('2');
    fireEvent.click(screen.getByRole('button', { name: 'Follow live' }));
    expect(live.dataset.step).toBe('4');
  });

  test('brackets that are typed stay text', () => {
    append(0, 1, 1);
    append(1, 1, 1);
    const input = document.body.appendChild(document.createElement('input'));
    fireEvent.keyDown(input, { key: '[' });
    fireEvent.keyDown(document.body, { key: '[', ctrlKey: true });
    expect(screen.getByTestId('search-live').dataset.step).toBe('1');
    input.remove();
  });

  test('the slider leads to a step; replay runs from the start to the newest and is live again', () => {
    for (let step = 0; step <= 5; step++) append(step, 1 + (step % 4), 1);
    act(() => vi.advanceTimersByTime(1000)); // the slider follows at its own pace
    fireEvent.change(screen.getByRole('slider', { name: 'Recorded step' }), {
      target: { value: '2' },
    });
    const live = screen.getByTestId('search-live');
    expect(live.dataset.step).toBe('2');
    expect(screen.getByRole('slider').getAttribute('aria-valuetext')).toBe('step 2 of 20');
    fireEvent.click(screen.getByRole('button', { name: 'Follow live' }));
    fireEvent.click(screen.getByRole('button', { name: 'Replay' }));
    const seen = [live.dataset.step];
    for (let i = 0; i < 6; i++) {
      act(() => vi.advanceTimersByTime(100));
      seen.push(live.dataset.step);
    }
    expect(seen).toEqual(['0', '1', '2', '3', '4', '5', '5']);
    expect(screen.getByTestId('scrubber').dataset.at).toBe('live');
  });

  test('the twin is a table with a row per layer', () => {
    append(0, 3, 2);
    const details = screen.getByTestId('sizes-heatmap').querySelector('details')!;
    act(() => {
      details.open = true;
      fireEvent(details, new Event('toggle'));
    });
    const rows = within(within(details).getByRole('table')).getAllByRole('row');
    expect(rows).toHaveLength(1 + layers);
    expect(within(rows[1]).getAllByRole('cell')[1].textContent).toBe('3 · 83 %');
  });

  test('figures follow within a second, not with every event', () => {
    append(0, 1, 1);
    act(() => vi.advanceTimersByTime(2000));
    const before = screen.getByTestId('search-totals').dataset.experts;
    append(1, 2, 1);
    append(2, 3, 1);
    act(() => vi.advanceTimersByTime(1000));
    expect([before, screen.getByTestId('search-totals').dataset.experts]).toEqual([
      String(14),
      String(14 * 3),
    ]);
  });
});

function Review({
  of,
  allocation,
  locked,
}: {
  of: SearchReport;
  allocation: Allocation;
  locked: ReadonlySet<string>;
}) {
  const [selected, setSelected] = useState<string | null>(null);
  const grid = {
    sites: of.sites,
    sizes: of.sizes,
    allocation,
    maxExperts: experts,
    maxRank: rank,
    locked,
    selected,
    onSelect: setSelected,
  };
  return (
    <>
      <output>{selected}</output>
      <AllocationGrid {...grid} />
    </>
  );
}

test('an allocation: labels with ranks and locks, a cell is selected by its path', () => {
  const of = report();
  const allocation = uniformAllocation(layers, targetNames, 2, 3);
  const { path } = of.sites[8];
  allocation.experts[path] = 1;
  allocation.ranks[rankKey(path, 0)] = 2;
  render(<Review of={of} allocation={allocation} locked={new Set([path])} />);
  const all = screen.getAllByRole('gridcell');
  expect(all[at1k].getAttribute('aria-label')).toBe(`${layer1k}: 1 expert, ranks 2, locked`);
  expect(all[0].getAttribute('aria-label')).toBe('Layer 0, q_proj: 2 experts, ranks 3, 3');
  fireEvent.click(all[at1k]);
  expect(screen.getByRole('status').textContent).toBe(path);
  expect(all[at1k].getAttribute('aria-selected')).toBe('true');
});

/** The report of a rank search. */
function rankReport(): SearchReport {
  const config = parseRunConfig({ search: {}, adapter: { method: 'lora' } }, 'test');
  if (!searches(config)) throw new Error('no search');
  return { ...report(), config, sizes: 'rank', experts: 1 };
}

test('a rank search: one map, of ranks, and an inspector without experts', () => {
  const of = rankReport();
  const app = createAppStore();
  app.dispatch({ type: 'search-began', report: of });
  const values = Float32Array.from({ length: of.sites.length * (rank + 1) }, (_, i) =>
    i % (rank + 1) === (i <= rank ? 0 : 2) ? 3 : 0,
  );
  app.dispatch({ type: 'upper', series: { ...series(of, 0, 0, 1), values }, total: of.steps });
  render(
    <AppContext value={{ app, actions: createActions(app, {} as Client) }}>
      <SearchLive history={app.history!} />
    </AppContext>,
  );
  expect(screen.getAllByRole('grid')).toHaveLength(1);
  const all = cells('Ranks by layer and linear');
  expect(all[0].getAttribute('aria-label')).toMatch(
    /^Layer 0, q_proj: closed, rank 0, \d+ % sure$/,
  );
  fireEvent.click(all[at1k]);
  expect(inspector()).toMatch(/Rank.?rank 2, \d+ % sure/);
  expect(inspector()).not.toMatch(/expert/i);
  expect(screen.getByText('Open linears')).toBeTruthy();
});

test('an allocation of one rank a linear: labels with the rank, closed and locked', () => {
  const of = rankReport();
  const allocation = uniformAllocation(layers, targetNames, 1, 3);
  const { path } = of.sites[8];
  allocation.experts[path] = 0;
  delete allocation.ranks[rankKey(path, 0)];
  render(<Review of={of} allocation={allocation} locked={new Set([path])} />);
  const all = screen.getAllByRole('gridcell');
  expect(all[at1k].getAttribute('aria-label')).toBe(`${layer1k}: closed, rank 0, locked`);
  expect(all[0].getAttribute('aria-label')).toBe('Layer 0, q_proj: rank 3');
});

test('a still map without selection: its cells can be read and gone through, none is selectable', () => {
  const { sites } = report();
  const source = still({
    looks: () => ({ width: 1, values: new Uint16Array(sites.length) }),
    label: (s) => `site ${s}`,
  });
  render(
    <Heatmap
      title="Differences"
      label="Difference by layer and linear"
      layout={cellLayout(sites)}
      source={source}
      draw={() => {}}
      cellHeight={32}
      table={{ caption: 'Differences', cell: String }}
    >
      key
    </Heatmap>,
  );
  expect(screen.getByRole('figure').querySelector('figcaption')!.textContent).toBe('Differences');
  const all = screen.getAllByRole('gridcell');
  act(() => all[0].focus());
  fireEvent.keyDown(all[0], { key: 'ArrowDown' });
  expect(document.activeElement).toBe(all[2]);
  expect(all[2].getAttribute('aria-label')).toBe('site 1');
  expect(all.some((cell) => cell.hasAttribute('aria-selected'))).toBe(false);
});

test('routing: labels and the table name shares and dead experts', () => {
  const routing = new RecentRouting([
    { path: 'model.layers.0.self_attn.q_proj', experts: 3 },
    { path: 'model.layers.1.self_attn.q_proj', experts: 0 },
  ]);
  routing.append([0.6, 0.4, 0]);
  const { rerender } = render(<RoutingHeatmap routing={routing} version={routing.batches} />);
  const [first, second] = screen.getAllByRole('gridcell');
  expect(first.getAttribute('aria-label')).toBe(
    'Layer 0, q_proj: expert 1 60 %, expert 2 40 %, expert 3 0 %, dead',
  );
  expect(second.getAttribute('aria-label')).toBe('Layer 1, q_proj: closed, no experts');
  expect(screen.getByTestId('routing-heatmap').dataset.dead).toBe('1');
  routing.append([0, 0.4, 0.6]);
  rerender(<RoutingHeatmap routing={routing} version={routing.batches} />);
  expect(screen.getByTestId('routing-heatmap').dataset.dead).toBe('0');
  fireEvent.click(first);
  expect(screen.getByTestId('routing-cell').textContent).toBe(
    'Layer 0, q_proj: expert 1 30 %, expert 2 40 %, expert 3 30 %',
  );
});
