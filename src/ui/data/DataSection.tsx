// The data: choosing files, how they are read, what was found.
import { lazy, Suspense } from 'react';
import { isOpen } from '../../state/run.ts';
import { cancelReading } from '../commands/cancel-reading.ts';
import { openSampleData } from '../commands/open-sample-data.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Progress } from '../shared/controls.tsx';
import { FileDrop } from '../shared/FileDrop.tsx';
import { bytes, duration, whole } from '../shared/format.ts';
import { FileIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';

const DatasetSummary = lazy(() =>
  import('./DatasetSummary.tsx').then((m) => ({ default: m.DatasetSummary })),
);
const ReadingOptions = lazy(() =>
  import('./ReadingOptions.tsx').then((m) => ({ default: m.ReadingOptions })),
);
const PasteRows = lazy(() => import('./PasteRows.tsx').then((m) => ({ default: m.PasteRows })));
const ColumnsForm = lazy(() =>
  import('./ColumnsForm.tsx').then((m) => ({ default: m.ColumnsForm })),
);

/** Endings that the picker offers. */
const accepted = [
  '.jsonl',
  '.ndjson',
  '.json',
  '.csv',
  '.tsv',
  '.parquet',
  '.txt',
  '.text',
  '.md',
  '.markdown',
  '.gz',
  '.zip',
];

export function DataSection() {
  const model = useApp((s) => s.model);
  const { status, report, columns } = useApp((s) => s.data);
  const running = useApp((s) => isOpen(s.run.phase));
  const { chooseData } = useActions();
  const busy = status === 'reading' || running || model.status === 'loading';
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
            disabled={busy}
            onChoose={({ files }) => void chooseData(files)}
          />
          <Suspense fallback={null}>
            <PasteRows disabled={busy} />
          </Suspense>
          {model.report.hasTokenizer && !report && status !== 'reading' && (
            <p className="hint">
              <CommandButton command={openSampleData} look="small" className="mr-2" />
              3,200 prompts with answers, of eight small skills.
            </p>
          )}
          {status === 'reading' && <Reading />}
          <Suspense fallback={<div className="h-96" />}>
            {columns && (
              <ColumnsForm
                key={columns.columns.join()}
                found={columns}
                isKnown={false}
                disabled={busy}
              />
            )}
            {report && (
              <div hidden={status === 'reading'}>
                <DatasetSummary report={report} />
              </div>
            )}
            <ReadingOptions disabled={running || status === 'reading'} />
          </Suspense>
        </div>
      )}
    </Section>
  );
}

/** How far reading is, with a way out. */
function Reading() {
  const progress = useApp((s) => s.data.progress);
  const left = progress?.secondsLeft;
  const text = progress
    ? `${whole(progress.rows)} rows · ${bytes(progress.bytes)} of ${bytes(progress.totalBytes)}${left == null ? '' : ` · ${duration(left)} left`}`
    : '';
  return (
    <div className="flex items-end gap-4" data-testid="reading">
      <Progress
        label="Reading and tokenising"
        done={progress?.bytes}
        total={progress?.totalBytes}
        text={text}
      />
      <CommandButton command={cancelReading} look="small" />
    </div>
  );
}
