// Trying it: one prompt, the base model's answer beside the tuned one's.
import { useId } from 'react';
import { questionProblems, systemOf } from '../../state/question.ts';
import { isGoing } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import type { ModelSide } from '../../worker/protocol/api.ts';
import { ask } from '../commands/ask.ts';
import { stopAnswer } from '../commands/stop-answer.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton, Keys } from '../shared/CommandButton.tsx';
import { Field } from '../shared/controls.tsx';
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
      lead="Ask the base model and the tuned one the same question."
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
              This model has no tokenizer.json, so it cannot answer text prompts.
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
  const question = useApp((s) => s.question);
  const busy = useApp((s) => s.chat.busy);
  const system = useApp((s) => systemOf(s.question, s.form));
  const raw = useApp((s) => s.form['data.template'] === 'none');
  const going = useApp((s) => isGoing(s.run.phase));
  const { setQuestion } = useActions();
  const problems = questionProblems(question);
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
          value={question.prompt}
          onChange={(e) => setQuestion({ prompt: e.target.value })}
        />
        <p className="hint">
          <Keys command={ask} /> asks; with Shift, it starts a new line.
          {raw && ' Asked without the chat template, which is off under Data.'}
        </p>
      </div>
      <div className="flex flex-wrap items-center gap-3">
        <CommandButton command={ask} look="primary" icon={<PlayIcon />} />
        {busy && <CommandButton command={stopAnswer} icon={<StopIcon />} />}
        {going && (
          <span className="hint">The device is busy with the run: pause the run to ask.</span>
        )}
      </div>
      <details className="text-sm">
        <summary className="w-fit text-muted">Answer settings</summary>
        <div className="grid gap-4 pt-3 sm:grid-cols-3">
          <Field
            label="Answer length"
            help="Maximum new tokens"
            value={question.length}
            error={problems.length}
            onChange={(length) => setQuestion({ length })}
          />
          <Field
            label="Temperature"
            help="0: always the likeliest token"
            value={question.temperature}
            error={problems.temperature}
            onChange={(temperature) => setQuestion({ temperature })}
          />
          <Field
            label="Answer seed"
            help="For temperatures above 0"
            value={question.seed}
            error={problems.seed}
            onChange={(seed) => setQuestion({ seed })}
          />
          <Field
            label="System prompt for answers"
            help="The one under Data unless changed here; empty: none"
            value={system}
            numeric={false}
            onChange={(own) => setQuestion({ system: own })}
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
      ? 'There is no adapter yet: train one, pause a run, or open one.'
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
