// The loss chart: a thin wrapper of uPlot that follows the series, the theme and the width.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { SearchSettings } from '../../settings/run-config.ts';
import { type Series, smooth } from '../../state/series.ts';
import { useApp, useSeries } from '../context.ts';

const height = 248;

type Stage = 'search' | 'train';
type Point = [number | null, number | null, number | null];

/**
 * Steps, loss, smoothed loss and the other loss on one axis of steps; null where there is none. Of
 * the training: by optimizer step, with the validation loss. Of the search: by upper step, with the
 * lower level's loss at the last pair of each update, and the upper loss.
 */
export function chartData(
  series: Series,
  stage: Stage,
  search: SearchSettings | false,
): [number[], (number | null)[], (number | null)[], (number | null)[]] {
  const { step, loss: values } = series.steps(stage);
  const smoothed = smooth(values, 0.8);
  const accumulate = search ? search.batch / search.microBatch : 1;
  const xOf = (s: number) =>
    search && stage === 'search' ? s * accumulate - search.lowerOnlySteps : s;
  const at = new Map<number, Point>();
  for (let i = 0; i < step.length; i++) at.set(xOf(step[i]), [values[i], smoothed[i], null]);
  const other = (x: number, loss: number) => {
    const [a, b] = at.get(x) ?? [null, null];
    at.set(x, [a, b, loss]);
  };
  if (stage === 'train') for (const point of series.validation) other(point.step, point.loss);
  else series.upper.step.forEach((x, i) => other(x, series.upper.loss[i]));
  const steps = [...at.keys()].sort((a, b) => a - b);
  const column = (i: 0 | 1 | 2) => steps.map((s) => at.get(s)![i]);
  return [steps, column(0), column(1), column(2)];
}

function options(width: number, log: boolean, stage: Stage): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui',
  };
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { time: false },
      y: log
        ? { distr: 3, log: 10 }
        : { range: (_, low, high) => [Math.min(0, low), high * 1.05 || 1] },
    },
    axes: [
      { ...axis, size: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
      {
        ...axis,
        size: 52,
        values: (_, ticks) =>
          ticks.map((t) => (t === null ? '' : String(Number(t.toPrecision(4))))),
      },
    ],
    series: [
      {},
      {
        label: stage === 'train' ? 'training' : 'lower level',
        stroke: `color-mix(in srgb, ${color('--accent')} 60%, transparent)`,
        width: 1,
        points: { show: false },
        spanGaps: true,
      },
      {
        label: 'smoothed',
        stroke: color('--accent'),
        width: 2.5,
        points: { show: false },
        spanGaps: true,
      },
      {
        label: stage === 'train' ? 'validation' : 'upper level',
        stroke: color('--second'),
        width: stage === 'train' ? 1.5 : 1,
        dash: stage === 'train' ? [4, 4] : [],
        spanGaps: true,
        points: { show: stage === 'train', size: 8, fill: color('--second') },
      },
    ],
  };
}

/** `log`: a logarithmic axis of losses. */
export default function LossChart({ log, stage }: { log: boolean; stage: Stage }) {
  const box = useRef<HTMLDivElement>(null);
  const series = useSeries(false);
  const search = useApp((s) => s.run.search?.config.search ?? false);
  useEffect(() => {
    const element = box.current!;
    let plot: uPlot | null = null;
    let frame = 0;
    const make = () => {
      plot?.destroy();
      plot = new uPlot(
        options(element.clientWidth || 320, log, stage),
        chartData(series, stage, search),
        element,
      );
    };
    const update = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => plot?.setData(chartData(series, stage, search)));
    };
    make();
    const stop = series.subscribe(update);
    const resize = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    const theme = new MutationObserver(make);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => {
      cancelAnimationFrame(frame);
      stop();
      resize.disconnect();
      theme.disconnect();
      plot?.destroy();
    };
  }, [series, log, stage, search]);
  return (
    <div
      ref={box}
      aria-hidden="true"
      className="w-full overflow-hidden"
      style={{ height }}
      data-testid="chart"
    />
  );
}
