// The data: choosing files, how they are read, what was found.
import { formProblems } from '../../state/form.ts';
import { isOpen } from '../../state/run.ts';
import type { DatasetReport } from '../../worker/api.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field, Progress, Toggle } from '../shared/controls.tsx';
import { FileDrop } from '../shared/FileDrop.tsx';
import { percent, short, whole } from '../shared/format.ts';
import { FileIcon } from '../shared/icons.tsx';
import { Missing, Section, Stat, Stats } from '../shared/Section.tsx';
import { BadRows } from './BadRows.tsx';
import { ColumnsForm } from './ColumnsForm.tsx';
import { SampleTokens } from './SampleTokens.tsx';

export function DataSection() {
  const model = useApp((s) => s.model);
  const { status, report, columns } = useApp((s) => s.data);
  const running = useApp((s) => isOpen(s.run.phase));
  const { chooseData, chooseDemoData } = useActions();
  return (
    <Section
      id="data"
      title="Data"
      lead="Rows of prompt and completion, chat messages, pre-tokenised ids, or plain text: .jsonl, .json, .csv, .tsv, .txt or .md."
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
          {status === 'reading' && <Progress label="Reading and tokenising" />}
          {columns && <ColumnsForm key={columns.columns.join()} wanted={columns} />}
          {report && status !== 'reading' && <Found report={report} />}
          <ReadingOptions disabled={running || status === 'reading'} />
        </div>
      )}
    </Section>
  );
}

function Found({ report: d }: { report: DatasetReport }) {
  return (
    <div className="flex flex-col gap-6" data-testid="data-facts">
      <div>
        <h3 className="mb-3 font-semibold break-words">{d.files.join(', ')}</h3>
        <Stats>
          <Stat label="Rows" value={whole(d.rows)} note={d.badRows === 0 ? 'all can be used' : `${whole(d.examples)} can be used`} />
          <Stat label="Bad rows" value={whole(d.badRows)} note="left out" tone={d.badRows > 0 ? 'warn' : undefined} />
          <Stat
            label="Truncated"
            value={whole(d.truncated)}
            note={`longest row: ${whole(d.longest)} tokens`}
            tone={d.truncated > 0 ? 'warn' : undefined}
          />
          <Stat label="Tokens trained" value={percent(d.trainedTokens, d.tokens)} note={`of ${short(d.tokens)} tokens`} />
        </Stats>
      </div>
      <SampleTokens sample={d.sample} more={d.sampleMore} />
      {d.badRows > 0 && <BadRows bad={d.bad} total={d.badRows} />}
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
        label="Chat template"
        help={hasTemplate ? 'Rows are rendered as the model expects' : 'This model has none'}
        selected={hasTemplate && form.template === 'auto'}
        disabled={disabled || !hasTemplate}
        onChange={(on) => void rereadData({ template: on ? 'auto' : 'none' })}
      />
    </fieldset>
  );
}
