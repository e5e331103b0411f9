// Training: settings, what is missing, start, and the run as it goes.
import { lazy, Suspense, useEffect } from 'react';
import type { Form } from '../../state/fields.ts';
import { rowsOfEpoch } from '../../state/files.ts';
import { trainableParameters } from '../../state/form.ts';
import { noStart } from '../../state/obstacles.ts';
import { isOpen } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import type { DatasetReport, ModelReport } from '../../worker/protocol/api.ts';
import { startNewRun } from '../commands/start-new-run.ts';
import { startRun } from '../commands/start-run.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { short, whole } from '../shared/format.ts';
import { PlayIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';

const Live = lazy(() => import('./Live.tsx').then((m) => ({ default: m.Live })));
const Settings = lazy(() => import('./Settings.tsx').then((m) => ({ default: m.Settings })));

export function TrainSection() {
  const model = useApp((s) => s.model.report);
  const data = useApp((s) => s.data.report);
  const phase = useApp((s) => s.run.phase);
  useEffect(() => {
    // a run was asked for: show it
    if (phase === 'loading') document.getElementById('train')?.scrollIntoView();
  }, [phase]);
  return (
    <Section
      id="train"
      title="Train"
      lead="The base model stays frozen; only small added matrices learn."
    >
      <div className="flex flex-col gap-6">
        {phase !== 'idle' && (
          <Suspense fallback={<div className="h-96" />}>
            <Live />
          </Suspense>
        )}
        {model && data ? (
          <details
            open={phase === 'idle'}
            className="group"
            data-testid="settings"
            key={phase === 'idle' ? 'open' : 'closed'}
          >
            <summary className={phase === 'idle' ? 'sr-only' : 'font-semibold'}>Settings</summary>
            <div className={phase === 'idle' ? '' : 'pt-5'}>
              <Suspense fallback={<div className="h-96" />}>
                <Settings disabled={isOpen(phase)} />
              </Suspense>
              <StartLine />
            </div>
          </details>
        ) : (
          <Missing>
            Training needs a{' '}
            <a className="link" href="#model">
              model
            </a>{' '}
            and{' '}
            <a className="link" href="#data">
              data
            </a>
            .
          </Missing>
        )}
      </div>
    </Section>
  );
}

function StartLine() {
  const blocked = useApp(noStart);
  const form = useApp((s) => s.form);
  const model = useApp((s) => s.model.report);
  const data = useApp((s) => s.data.report);
  const running = useApp((s) => isOpen(s.run.phase));
  const again = useApp(hasTuned);
  if (running || !model || !data) return null;
  return (
    <div className="mt-7 flex flex-wrap items-center gap-x-5 gap-y-3 border-t border-line pt-5">
      <CommandButton command={again ? startNewRun : startRun} look="primary" icon={<PlayIcon />} />
      <p className="hint" data-testid="ready">
        {blocked ?? `Ready. ${summary(form, model, data)}`}
        {again && blocked === null && ' A new run discards the current adapter: download it first.'}
      </p>
    </div>
  );
}

/** What a run comes to: trainable parameters, and how often it goes over the data. */
function summary(form: Form, model: ModelReport, data: DatasetReport): string {
  const trainable = trainableParameters(form, model);
  const rows = rowsOfEpoch(data, form.files, Number(form['data.validation']));
  const passes = (n: number) =>
    n < 0.1 ? 'less than a tenth of an epoch' : `${n.toFixed(1)} epochs`;
  const parts = [];
  if (trainable?.search != null) {
    const seen = (2 * Number(form['search.steps']) * Number(form['search.microBatch'])) / rows;
    parts.push(
      `The search trains ${short(trainable.search)} parameters; its ${whole(Number(form['search.steps']))} steps are ${passes(seen)}.`,
    );
    if (!form.train) return parts.join(' ');
    parts.push(
      trainable.adapter === null
        ? 'It decides how many the adapter will have.'
        : `The adapter is then fitted to about ${short(trainable.adapter)}.`,
    );
  } else if (trainable?.adapter != null)
    parts.push(
      `${short(trainable.adapter)} trainable parameters${trainable.rank ? `, rank ${trainable.rank}` : ''}.`,
    );
  if (form['train.epochs'].trim() !== '') parts.push(`${form['train.epochs']} epochs of training.`);
  else
    parts.push(
      `${whole(Number(form['train.steps']))} steps are ${passes((Number(form['train.steps']) * Number(form['train.batch'])) / rows)}.`,
    );
  return parts.join(' ');
}
