// The data: choosing files, how they are read, what was found.
import { lazy, Suspense } from 'react';
import { formProblems } from '../../state/form.ts';
import { isOpen } from '../../state/run.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field, Progress, Toggle } from '../shared/controls.tsx';
import { FileDrop } from '../shared/FileDrop.tsx';
import { bytes, duration, whole } from '../shared/format.ts';
import { FileIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';

const Found = lazy(() => import('./Found.tsx').then((m) => ({ default: m.Found })));
const ColumnsForm = lazy(() => import('./ColumnsForm.tsx').then((m) => ({ default: m.ColumnsForm })));

/** Endings that the picker offers. */
const accepted = ['.jsonl', '.ndjson', '.json', '.csv', '.tsv', '.parquet', '.txt', '.text', '.md', '.markdown', '.gz', '.zip'];

export function DataSection() {
  const model = useApp((s) => s.model);
  const { status, report, columns } = useApp((s) => s.data);
  const running = useApp((s) => isOpen(s.run.phase));
  const { chooseData, chooseDemoData } = useActions();
  return (
    <Section
      id="data"
      title="Data"
      lead="Prompts with answers, chats, questions with choices, pre-tokenised ids, or plain text: .jsonl, .json, .csv, .tsv, .parquet, .txt or .md, also in .gz or .zip."
    >
      {!model.report ? (
        <Missing>
          Data is read with the model’s tokenizer: first{' '}
          <a className="link" href="#model">
            choose a model
          </a>
          .
        </Missing>
      ) : (
        <div className="flex flex-col gap-6">
          <FileDrop
            label={report ? 'Other files' : 'Drop dataset files here'}
            hint="Several files become one dataset."
            button="Choose files"
            icon={<FileIcon />}
            accept={accepted}
            disabled={status === 'reading' || running || model.status === 'loading'}
            onChoose={({ files }) => void chooseData(files)}
          />
          {model.demo && !report && status !== 'reading' && (
            <p className="hint">
              Or{' '}
              <Button look="small" onPress={() => void chooseDemoData()}>
                Use the demo data
              </Button>
            </p>
          )}
          {status === 'reading' && <Reading />}
          <Suspense fallback={<div className="h-96" />}>
            {columns && <ColumnsForm key={columns.columns.join()} wanted={columns} />}
            {report && status !== 'reading' && <Found report={report} />}
          </Suspense>
          <ReadingOptions disabled={running || status === 'reading'} />
        </div>
      )}
    </Section>
  );
}

/** How far reading is, with a way out. */
function Reading() {
  const progress = useApp((s) => s.data.progress);
  const { cancelReading } = useActions();
  const left = progress?.secondsLeft;
  const text = progress
    ? `${whole(progress.rows)} rows · ${bytes(progress.bytes)} of ${bytes(progress.totalBytes)}${left == null ? '' : ` · ${duration(left)} left`}`
    : '';
  return (
    <div className="flex items-end gap-4" data-testid="reading">
      <Progress label="Reading and tokenising" done={progress?.bytes} total={progress?.totalBytes} text={text} />
      <Button look="small" onPress={() => void cancelReading()}>
        Cancel
      </Button>
    </div>
  );
}

function ReadingOptions({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const hasTemplate = useApp((s) => s.model.report?.hasTemplate ?? false);
  const { setForm, rereadData } = useActions();
  const problem = formProblems(form).maxLength;
  return (
    <fieldset className="grid gap-x-6 gap-y-4 border-t border-line pt-5 sm:grid-cols-3">
      <legend className="sr-only">How rows are read</legend>
      <Field
        label="Max length"
        help="Tokens a row may have; longer rows are cut"
        value={form.maxLength}
        error={problem}
        disabled={disabled}
        onChange={(maxLength) => setForm({ maxLength })}
        onBlur={() => void rereadData({})}
      />
      <Toggle
        label="Train on answers only"
        help="Prompts carry no loss"
        selected={form.completionOnly}
        disabled={disabled}
        onChange={(completionOnly) => void rereadData({ completionOnly })}
      />
      <Toggle
        label="Last answer only"
        help={
          form.turns === 'last' ? 'Earlier answers of a conversation are only read' : 'Off: every answer of a conversation carries loss'
        }
        selected={form.turns === 'last'}
        disabled={disabled || !form.completionOnly}
        onChange={(on) => void rereadData({ turns: on ? 'last' : 'all' })}
      />
      <Toggle
        label="Packing"
        help="Several short rows take the place of one; none sees another"
        selected={form.packing}
        disabled={disabled}
        onChange={(packing) => setForm({ packing })}
      />
      <Toggle
        label="Chat template"
        help={hasTemplate ? 'Rows are rendered as the model expects' : 'This model has none'}
        selected={hasTemplate && form.template === 'auto'}
        disabled={disabled || !hasTemplate}
        onChange={(on) => void rereadData({ template: on ? 'auto' : 'none' })}
      />
    </fieldset>
  );
}
