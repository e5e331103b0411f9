// Trying it: one prompt, the base model's answer beside the tuned one's.
import { type KeyboardEvent, useId, useState } from 'react';
import { isGoing } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import type { ModelSide } from '../../worker/protocol/api.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field } from '../shared/controls.tsx';
import { PlayIcon, StopIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';
import { HeldOut } from './HeldOut.tsx';
import { OpenAdapter } from './OpenAdapter.tsx';

export function ChatSection() {
  const model = useApp((s) => s.model.report);
  const tuned = useApp(hasTuned);
  return (
    <Section
      id="chat"
      title="Try it"
      lead="The same question to the base model and to the tuned one."
    >
      {!model ? (
        <Missing>
          First{' '}
          <a className="link" href="#model">
            choose a model
          </a>
          .
        </Missing>
      ) : (
        <div className="flex flex-col gap-8">
          {model.hasTokenizer ? (
            <Ask />
          ) : (
            <p className="hint">
              This model folder has no tokenizer.json, so it cannot be asked in words.
            </p>
          )}
          {tuned && <HeldOut />}
          <OpenAdapter />
        </div>
      )}
    </Section>
  );
}

function Ask() {
  const id = useId();
  const demo = useApp((s) => s.model.demo);
  const [prompt, setPrompt] = useState(demo ? 'Make it passive: The fox saw the duck.' : '');
  const [length, setLength] = useState('64');
  const [temperature, setTemperature] = useState('0');
  const [seed, setSeed] = useState('1');
  const ofData = useApp((s) => s.form['data.system']);
  const [ownSystem, setOwnSystem] = useState<string | null>(null); // null: as the data is rendered
  const system = ownSystem ?? ofData;
  const raw = useApp((s) => s.form['data.template'] === 'none');
  const going = useApp((s) => isGoing(s.run.phase));
  const tuned = useApp(hasTuned);
  const busy = useApp((s) => s.chat.busy);
  const checking = useApp((s) => s.heldOut.busy !== null);
  const { ask, stopAnswer } = useActions();
  const lengthError =
    Number.isInteger(Number(length)) && Number(length) >= 1 && Number(length) <= 4096
      ? undefined
      : 'a whole number from 1 to 4096';
  const temperatureError =
    temperature.trim() !== '' && Number(temperature) >= 0 && Number(temperature) <= 5
      ? undefined
      : 'a number from 0 to 5';
  const seedError = /^\d{1,15}$/.test(seed.trim()) ? undefined : 'a whole number, 0 or more';
  const loading = useApp((s) => s.model.status === 'loading');
  const can =
    !going &&
    !loading &&
    !busy &&
    !checking &&
    prompt.trim() !== '' &&
    !lengthError &&
    !temperatureError &&
    !seedError;
  const send = () => {
    if (!can) return;
    const which: ModelSide[] = tuned ? ['base', 'tuned'] : ['base'];
    const numbers = {
      maxNewTokens: Number(length),
      temperature: Number(temperature),
      seed: Number(seed),
    };
    void ask(prompt, which, { ...numbers, system: system.trim() === '' ? null : system, raw });
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key !== 'Enter' || e.shiftKey || e.nativeEvent.isComposing) return;
    e.preventDefault();
    send();
  };
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-col gap-1">
        <label htmlFor={id} className="font-medium">
          Prompt
        </label>
        <textarea
          id={id}
          rows={2}
          className="input py-2 leading-relaxed"
          value={prompt}
          onChange={(e) => setPrompt(e.target.value)}
          onKeyDown={onKey}
        />
        <p className="hint">
          Enter asks, Shift and Enter starts a new line.
          {raw && ' Asked without the chat template, which is off under Data.'}
        </p>
      </div>
      <div className="flex flex-wrap items-center gap-3">
        <Button look="primary" isDisabled={!can} onPress={send}>
          <PlayIcon />
          {tuned ? 'Ask both' : 'Ask'}
        </Button>
        {busy && (
          <Button onPress={() => void stopAnswer()}>
            <StopIcon />
            Stop the answer
          </Button>
        )}
        {going && (
          <span className="hint">The device is at work on the run: pause it to ask meanwhile.</span>
        )}
      </div>
      <details className="text-sm">
        <summary className="w-fit text-muted">Answer settings</summary>
        <div className="grid gap-4 pt-3 sm:grid-cols-3">
          <Field
            label="Answer length"
            help="New tokens at most"
            value={length}
            error={lengthError}
            onChange={setLength}
          />
          <Field
            label="Temperature"
            help="0: always the likeliest token"
            value={temperature}
            error={temperatureError}
            onChange={setTemperature}
          />
          <Field
            label="Answer seed"
            help="For temperatures above 0"
            value={seed}
            error={seedError}
            onChange={setSeed}
          />
          <Field
            label="System prompt for answers"
            help="That of the data, unless it is changed here; empty: none"
            value={system}
            numeric={false}
            onChange={setOwnSystem}
          />
        </div>
      </details>
      <div className="grid gap-4 sm:grid-cols-2">
        <Pane which="base" title="Base model" />
        <Pane which="tuned" title="Tuned model" />
      </div>
    </div>
  );
}

function Pane({ which, title }: { which: ModelSide; title: string }) {
  const answer = useApp((s) => s.chat.exchange?.answers[which]);
  const busy = useApp((s) => s.chat.busy);
  const asked = useApp((s) => s.chat.exchange !== null);
  const tuned = useApp(hasTuned);
  const opened = useApp((s) => s.adapter?.name);
  const step = useApp((s) => s.run.step);
  const empty =
    which === 'tuned' && !tuned
      ? 'There is no adapter yet: train one, pause a training, or open one.'
      : asked && busy
        ? '…'
        : 'No answer yet.';
  return (
    <article
      aria-label={title}
      className={`min-h-28 rounded-xl border p-4 ${which === 'tuned' ? 'border-accent' : 'border-line'}`}
      data-testid={`answer-${which}`}
    >
      <h3 className="eyebrow mb-2 flex justify-between">
        {title}
        <span className="font-normal normal-case">
          {which === 'tuned' && tuned && (opened ?? `after step ${step}`)}
        </span>
      </h3>
      {answer ? (
        <p className="break-words whitespace-pre-wrap" data-done={answer.done}>
          {answer.text}
          {!answer.done && (
            <span
              className="ml-0.5 inline-block h-4 w-1.5 animate-pulse bg-accent align-middle"
              aria-hidden="true"
            />
          )}
          {answer.done && answer.text === '' && (
            <span className="text-muted">(an empty answer)</span>
          )}
        </p>
      ) : (
        <p className="text-muted">{empty}</p>
      )}
    </article>
  );
}
