// How fast the device is: how far the measurement is, and what it has found, to read and to copy.
import { useState } from 'react';
import { isMeasuring, sayBenchmark } from '../../state/benchmark.ts';
import type { BenchmarkReport, BenchmarkRow } from '../../worker/protocol/benchmark.ts';
import { cancelBenchmark } from '../commands/cancel-benchmark.ts';
import { runBenchmark } from '../commands/run-benchmark.ts';
import { useApp, usePage } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Button, Field, Progress } from '../shared/controls.tsx';
import { left, whole } from '../shared/format.ts';
import { ChipIcon, StopIcon } from '../shared/icons.tsx';
import { Section } from '../shared/Section.tsx';
import { figure, share, speed } from './figures.ts';

export function Benchmark() {
  const { app } = usePage();
  const { status, report, message, named } = useApp((s) => s.benchmark);
  const isBusy = useApp((s) => isMeasuring(s.benchmark));
  return (
    <Section
      id="benchmark"
      title="Benchmark"
      lead="How fast kernels, training steps and answers are on this device, with random weights at the shapes of known models. It needs no model and leaves nothing on the device."
      aside={isBusy && <CommandButton command={cancelBenchmark} icon={<StopIcon />} />}
    >
      <div className="flex flex-col gap-5" data-testid="benchmark" data-status={status}>
        {isBusy && <Measuring />}
        {status === 'failed' && <p className="text-danger">{message}</p>}
        {report && <Report report={report} />}
        {!isBusy && (
          <div className="flex flex-col gap-3 border-t border-line pt-5 sm:flex-row sm:items-start">
            <div className="grow sm:max-w-md">
              <Field
                label="Only cases with this in their name"
                help="For example step/ or product/smollm2. Empty: the cases that suit this device."
                value={named}
                numeric={false}
                onChange={(text) => app.dispatch({ type: 'benchmark-named', named: text })}
              />
            </div>
            <div className="flex flex-wrap gap-3 sm:mt-7">
              <CommandButton command={runBenchmark} icon={<ChipIcon />} />
              <Button
                look="quiet"
                aria-label="Close the benchmark"
                onPress={() => app.dispatch({ type: 'benchmark-closed' })}
              >
                Close
              </Button>
            </div>
          </div>
        )}
      </div>
    </Section>
  );
}

function Measuring() {
  const { status, progress } = useApp((s) => s.benchmark);
  return (
    <div>
      <Progress
        label={progress?.name ?? 'Choosing the kernels for this device'}
        done={progress?.done}
        total={progress?.total}
        text={
          progress
            ? `${progress.done + 1} of ${progress.total}${left(progress.secondsLeft)}`
            : undefined
        }
      />
      <p className="hint mt-2">
        {status === 'cancelling'
          ? 'The device finishes what it has begun: moments on a graphics card, up to a minute on a software renderer.'
          : 'Other work on this computer makes the figures worse. Cancelling keeps what was measured.'}
      </p>
    </div>
  );
}

function Report({ report }: { report: BenchmarkReport }) {
  const { device, browser, clock, rows, problem } = report;
  return (
    <div className="flex flex-col gap-4">
      <div>
        <p className="font-semibold">{sayBenchmark(report)}</p>
        {problem && <p className="break-words text-danger">{problem}</p>}
        <p className="hint break-words" data-testid="benchmark-device">
          {device} · {browser}
          {clock && ` · timed by ${clock}, steps by the wall clock`}
        </p>
      </div>
      {rows.length > 0 && (
        <>
          <Table rows={rows} />
          <Copying report={report} />
        </>
      )}
    </div>
  );
}

const columns: readonly { title: string; of(row: BenchmarkRow): string }[] = [
  { title: 'ms', of: (r) => figure(r.milliseconds) },
  { title: 'Speed', of: (r) => speed(r.gflops) },
  { title: 'Of the best product', of: (r) => share(r.ofProduct) },
  { title: 'Of multiply-adds', of: (r) => share(r.ofLoop) },
  { title: 'GB/s', of: (r) => figure(r.bandwidth) },
  { title: 'Launches', of: (r) => (r.launches === null ? '' : whole(r.launches)) },
  { title: 'Tokens/s', of: (r) => figure(r.tokensPerSecond) },
];

const Table = ({ rows }: { rows: readonly BenchmarkRow[] }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
  <section className="max-h-96 overflow-auto" aria-label="Figures of the benchmark" tabIndex={0}>
    <table className="table tabular-nums whitespace-nowrap" data-testid="benchmark-table">
      <thead className="sticky top-0 bg-card">
        <tr>
          <th scope="col">Case</th>
          <th scope="col">Variant</th>
          {columns.map(({ title }) => (
            <th key={title} scope="col" className="!text-right whitespace-normal">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.name} ${row.variant}`}>
            <th scope="row" className="!font-normal !text-ink">
              {row.name}
            </th>
            <td>{row.variant}</td>
            {columns.map(({ title, of }) => (
              <td key={title} className="text-right">
                {of(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </section>
);

function Copying({ report }: { report: BenchmarkReport }) {
  const [said, setSaid] = useState('');
  const copy = async (text: string, what: string) => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid(`Copied ${what}.`);
    } catch {
      setSaid('The browser does not allow copying here: select the table and copy it by hand.');
    }
  };
  return (
    <div className="flex flex-wrap items-center gap-3">
      <Button onPress={() => copy(report.text, 'the table')}>Copy</Button>
      <Button onPress={() => copy(report.json, 'the JSON')}>Copy as JSON</Button>
      <span role="status" className="hint">
        {said}
      </span>
    </div>
  );
}
