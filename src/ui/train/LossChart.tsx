// The loss chart: a thin wrapper of uPlot that follows the series, the theme and the width.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Series, smooth } from '../../state/series.ts';
import { useSeries } from '../context.ts';

const height = 248;

/** Steps, loss, smoothed loss and validation loss on one axis of steps; null where there is none. */
export function chartData(series: Series): [number[], (number | null)[], (number | null)[], (number | null)[]] {
  const { step, loss: values } = series.steps;
  const smoothed = smooth(values, 0.8);
  const at = new Map<number, [number | null, number | null, number | null]>();
  for (let i = 0; i < step.length; i++) at.set(step[i], [values[i], smoothed[i], null]);
  for (const point of series.validation) {
    const [a, b] = at.get(point.step) ?? [null, null];
    at.set(point.step, [a, b, point.loss]);
  }
  const steps = [...at.keys()].sort((a, b) => a - b);
  const column = (i: 0 | 1 | 2) => steps.map((s) => at.get(s)![i]);
  return [steps, column(0), column(1), column(2)];
}

function options(width: number, log: boolean): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: color('--muted'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui' };
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false }, y: log ? { distr: 3, log: 10 } : { range: (_, low, high) => [Math.min(0, low), high * 1.05 || 1] } },
    axes: [
      { ...axis, size: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((t) => (t === null ? '' : String(Number(t.toPrecision(4))))) },
    ],
    series: [
      {},
      {
        label: 'training',
        stroke: `color-mix(in srgb, ${color('--accent')} 60%, transparent)`,
        width: 1,
        points: { show: false },
        spanGaps: true,
      },
      { label: 'smoothed', stroke: color('--accent'), width: 2.5, points: { show: false }, spanGaps: true },
      {
        label: 'validation',
        stroke: color('--second'),
        width: 1.5,
        dash: [4, 4],
        spanGaps: true,
        points: { show: true, size: 8, fill: color('--second') },
      },
    ],
  };
}

/** `log`: a logarithmic axis of losses. */
export default function LossChart({ log }: { log: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const series = useSeries(false);
  useEffect(() => {
    const element = box.current!;
    let plot: uPlot | null = null;
    let frame = 0;
    const make = () => {
      plot?.destroy();
      plot = new uPlot(options(element.clientWidth || 320, log), chartData(series), element);
    };
    const update = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => plot?.setData(chartData(series)));
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
  }, [series, log]);
  return <div ref={box} aria-hidden="true" className="w-full overflow-hidden" style={{ height }} data-testid="chart" />;
}
