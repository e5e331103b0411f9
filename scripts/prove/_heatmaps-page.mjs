// The heatmaps alone, fed by a worker as in the app: event → store → components. Driven by
// scripts/prove/heatmaps.mjs.
import { createElement as h, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { siteDims, sitePaths, targetNames, targetOf } from '../../src/allocation/allocation.ts';
import { presetAllocation } from '../../src/allocation/presets.ts';
import { parseRunConfig, searches } from '../../src/settings/run-config.ts';
import { createActions } from '../../src/state/actions.ts';
import { RecentRouting } from '../../src/state/recent-routing.ts';
import { createAppStore } from '../../src/state/store.ts';
import { AppContext } from '../../src/ui/context.ts';
import { AllocationGrid } from '../../src/ui/search/AllocationGrid.tsx';
import { RoutingHeatmap } from '../../src/ui/search/RoutingHeatmap.tsx';
import { SearchLive } from '../../src/ui/search/SearchLive.tsx';
import { followTheme } from '../../src/ui/shared/theme.ts';
import '../../src/ui/styles.css';

followTheme();
const query = new URLSearchParams(location.search);
/**
 * @param {string} name
 * @param {number} otherwise
 */
const number = (name, otherwise) => Number(query.get(name) ?? otherwise);
const layers = number('layers', 30);
const [experts, rank] = [number('experts', 8), number('rank', 8)];
const closable = query.has('closable');
const dims = siteDims({ hidden: 576, heads: 9, kvHeads: 3, headDim: 64, feedForward: 1536 });
const sites = sitePaths(layers, targetNames).map((path, i) => ({
  path,
  layer: Math.floor(i / targetNames.length),
  target: targetOf(path),
  ...dims[targetOf(path)],
}));
const config = parseRunConfig({ search: {} }, 'settings');
if (!searches(config)) throw new Error('these settings ask for no search');
/** @type {import('../../src/worker/protocol/api.ts').SearchReport} */
const report = {
  config,
  sites,
  experts,
  rank,
  sizes: 'experts',
  topK: 2,
  closable,
  steps: number('steps', 200),
  parameters: 0,
  microSteps: 0,
  trainRows: 0,
  validationRows: 0,
};
const app = createAppStore();
app.dispatch({ type: 'search-began', report });
const history = /** @type {NonNullable<typeof app.history>} */ (app.history);
/** No worker is asked for anything. */
const client = /** @type {import('../../src/worker/protocol/client.ts').Client} */ ({});
const page = { app, actions: createActions(app, client) };

/**
 * An allocation with every kind of cell, two of its sites locked, and a routing in which one expert
 * in ten is dead.
 */
const allocation = presetAllocation('random', {
  layers,
  targets: targetNames,
  maxExperts: experts,
  maxRank: rank,
  topK: 2,
  seed: 3,
});
allocation.experts[sites[3].path] = 0;
const routing = new RecentRouting(
  sites.map(({ path }) => ({ path, experts: allocation.experts[path] })),
);
routing.append(
  routing.sites.flatMap(({ experts: n }, s) => {
    const raw = Array.from({ length: n }, (_, i) =>
      (s * 7 + i * 13) % 10 === 0 ? 0 : 1 + ((s * 5 + i * 3) % 4),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return raw.map((v) => (sum === 0 ? 1 / n : v / sum));
  }),
);

/**
 * @param {string} title
 * @param {import('react').ReactNode} child
 */
const card = (title, child) =>
  h(
    'section',
    { className: 'card mb-5' },
    h('h2', { className: 'mb-4 text-lg font-semibold' }, title),
    child,
  );

function Review() {
  const [selected, setSelected] = useState(/** @type {string | null} */ (null));
  const locked = new Set([sites[0].path, sites[5].path, sites[3].path]);
  return h(AllocationGrid, {
    sites,
    sizes: 'experts',
    allocation,
    maxExperts: experts,
    maxRank: rank,
    locked,
    selected,
    onSelect: setSelected,
  });
}

function Page() {
  return [
    h('div', { key: 'search' }, card('Search', h(SearchLive, { history }))),
    query.has('all') && h('div', { key: 'review' }, card('Review', h(Review))),
    query.has('all') &&
      h(
        'div',
        { key: 'routing' },
        card('Training', h(RoutingHeatmap, { routing, version: routing.batches })),
      ),
  ];
}

const worker = new Worker(new URL('./_heatmaps-worker.mjs', import.meta.url), { type: 'module' });
worker.onmessage = ({ data }) => app.dispatch({ ...data, total: report.steps });
worker.postMessage({
  type: 'start',
  sites: sites.length,
  entries: experts + (closable ? 1 : 0),
  experts,
  rank,
  rate: number('rate', 0.1),
});
globalThis.harness = {
  send: (count) => worker.postMessage({ type: 'send', count }),
  every: (milliseconds) => worker.postMessage({ type: 'every', milliseconds }),
  steps: () => history.lastStep,
};
createRoot(/** @type {HTMLElement} */ (document.getElementById('root'))).render(
  h(AppContext, { value: page }, h(Page)),
);
