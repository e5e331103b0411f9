// ARIA labels of a heatmap's cells, written outside React.
import { useEffect } from 'react';
import { type CellSource, changedSites, type Looks } from './cell-values.ts';
import type { CellLayout } from './grid.ts';

/** Milliseconds before the labels of unfocused cells are refreshed. */
const labelsEvery = 2000;

/**
 * Refreshes the ARIA labels of cells whose look has changed, after a delay; the focused cell's label
 * is written when it gets the focus.
 */
export function useLabels(
  root: { current: HTMLElement | null },
  layout: CellLayout,
  source: CellSource,
): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: another layout has other cells
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let written: Looks | null = null;
    const cells = new Map<string | undefined, Element>();
    for (const cell of root.current?.querySelectorAll<HTMLElement>('[data-site]') ?? [])
      cells.set(cell.dataset.site, cell);
    const write = () => {
      timer = undefined;
      const looks = source.looks();
      for (const site of changedSites(written, looks))
        cells.get(String(site))?.setAttribute('aria-label', source.label(site));
      written = looks;
      root.current?.setAttribute('data-labels', 'current');
    };
    write();
    const stop = source.subscribe(() => {
      root.current?.setAttribute('data-labels', 'behind');
      timer ??= setTimeout(write, labelsEvery);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [root, layout, source]);
}
