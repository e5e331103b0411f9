// Training: settings, what is missing, start, and the run as it goes.
import { useEffect } from 'react';
import { formProblems, trainableParameters } from '../../state/form.ts';
import { hasAdapter, isOpen, type State } from '../../state/state.ts';
import { useActions, useApp } from '../context.ts';
import { Button } from '../shared/controls.tsx';
import { short, whole } from '../shared/format.ts';
import { PlayIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';
import { Live } from './Live.tsx';
import { Settings } from './Settings.tsx';

/** What keeps a run from starting, or null. */
export function obstacle(state: Pick<State, 'form' | 'data' | 'model'>): string | null {
  if (!state.model.report) return 'There is no model yet.';
  if (state.data.status === 'reading') return 'The data is being read.';
  if (!state.data.report) return 'There is no data yet.';
  if (state.data.report.trainedTokens === 0) return 'No token of the data carries loss.';
  const wrong = Object.keys(formProblems(state.form)).length;
  return wrong === 0 ? null : `${wrong} ${wrong === 1 ? 'setting needs' : 'settings need'} attention.`;
}

export function TrainSection() {
  const model = useApp((s) => s.model.report);
  const data = useApp((s) => s.data.report);
  const phase = useApp((s) => s.run.phase);
  useEffect(() => {
    if (phase === 'loading') document.getElementById('train')?.scrollIntoView(); // a run was asked for: show it
  }, [phase]);
  return (
    <Section id="train" title="Train" lead="The base model stays as it is; small added matrices learn.">
      <div className="flex flex-col gap-6">
        {phase !== 'idle' && <Live />}
        {model && data ? (
          <details open={phase === 'idle'} className="group" key={phase === 'idle' ? 'open' : 'closed'}>
            <summary className={phase === 'idle' ? 'sr-only' : 'font-semibold'}>Settings</summary>
            <div className={phase === 'idle' ? '' : 'pt-5'}>
              <Settings disabled={isOpen(phase)} />
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
  const blocked = useApp((s) => obstacle(s));
  const form = useApp((s) => s.form);
  const model = useApp((s) => s.model.report);
  const data = useApp((s) => s.data.report);
  const running = useApp((s) => isOpen(s.run.phase));
  const again = useApp((s) => hasAdapter(s.run));
  const { start } = useActions();
  if (running || !model || !data) return null;
  const trainable = trainableParameters(form, model);
  const perEpoch = (data.examples * (1 - Number(form.validation))) / Number(form.batch);
  const epochs = Number(form.steps) / perEpoch;
  return (
    <div className="mt-7 flex flex-wrap items-center gap-x-5 gap-y-3 border-t border-line pt-5">
      <Button look="primary" isDisabled={blocked !== null} onPress={() => void start()}>
        <PlayIcon />
        {again ? 'Start a new run' : 'Start training'}
      </Button>
      <p className="hint" data-testid="ready">
        {blocked ??
          `Ready. ${trainable === null ? '' : `${short(trainable)} trainable parameters; `}${whole(Number(form.steps))} steps are ${epochs < 0.1 ? 'less than a tenth of an epoch' : `${epochs.toFixed(1)} epochs`}.`}
        {again && blocked === null && ' The adapter of the run before is given up: download it first.'}
      </p>
    </div>
  );
}
