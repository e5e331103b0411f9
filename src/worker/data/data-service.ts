// The data worker's work: reads and tokenises datasets, reports what was found, hands examples to
// the trainer.

import { epochOf, filesOf, type SplitSettings } from '../../data/batching/split.ts';
import type { DataProgress, Dataset } from '../../data/dataset/dataset.ts';
import { type Example, IGNORE } from '../../data/dataset/example.ts';
import { readDataset } from '../../data/dataset/formats.ts';
import { type ByteSource, blobSource } from '../../data/source.ts';
import { hasTokenizer, loadTokenizer, type Tokenizer } from '../../data/text/tokenizer.ts';
import { InputError } from '../../util/error.ts';
import { demoFile, modelFolder, tokenizerFiles } from '../library/folder.ts';
import type {
  ColumnsFound,
  DataOptions,
  DataSource,
  DatasetReport,
  ModelSource,
  ReadingProgress,
  SplitReport,
} from '../protocol/api.ts';
import type { HeldOutRow, TrainingData } from '../protocol/data-port.ts';
import { timeLeft } from '../trainer/speed.ts';
import { columnsIn } from './columns.ts';
import { dataChecks, fingerprint, preview, splitReport } from './data-checks.ts';

const badRowsShown = 200;
const tokensShown = 600;
/** Milliseconds between two reports of progress. */
const reportEvery = 200;

type OnProgress = (progress: ReadingProgress) => void;

/** Holds one model's tokenizer and one dataset. */
export class DataService {
  #tokenizer: Tokenizer | null = null;
  #vocab = 0;
  #examples: Example[] = [];
  #files: TrainingData['files'] = [];
  /** Numbers that stand for the tokens of the examples. */
  #prints: Float64Array = new Float64Array(0);
  #heldOut: Example[] | null = null;
  #reading: AbortController | null = null;

  constructor(private readonly base: string) {}

  async openTokenizer(
    source: ModelSource,
    vocab: number,
  ): Promise<{ tokenizer: boolean; template: boolean }> {
    const folder = await modelFolder(source, this.base, tokenizerFiles);
    const tokenizer = (await hasTokenizer(folder)) ? await loadTokenizer(folder) : null;
    this.#tokenizer = tokenizer;
    this.#vocab = vocab;
    this.#forget();
    return { tokenizer: tokenizer !== null, template: tokenizer?.template != null };
  }

  /** Reads a dataset, in place of the one before; null when it was cancelled, which leaves none. */
  async read(
    source: DataSource,
    options: DataOptions,
    onProgress: OnProgress = () => {},
  ): Promise<DatasetReport | ColumnsFound | null> {
    this.cancel();
    const reading = new AbortController();
    this.#reading = reading;
    const control = { signal: reading.signal, onProgress: throttled(onProgress) };
    try {
      if (source.kind === 'demo') {
        const dataset = await this.#readAll(
          [await demoFile(this.base, 'train.jsonl')],
          options,
          control,
        );
        const heldOut = await this.#readAll(
          [await demoFile(this.base, 'heldout.jsonl')],
          { ...options, limit: null },
          {},
        );
        return this.#keep(dataset, heldOut.examples, ['Demo instructions'], null);
      }
      const sources = source.files.map((file) => blobSource(file, file.name));
      const found = await columnsIn(sources, reading.signal);
      const columns = found && { file: found.file, columns: found.columns };
      if (columns && !found.isKnown && !options.columns) return columns;
      const dataset = await this.#readAll(sources, options, control);
      return this.#keep(
        dataset,
        null,
        sources.map((s) => s.name),
        columns,
      );
    } catch (error) {
      if (!reading.signal.aborted) throw error;
      this.#forget();
      return null;
    }
  }

  /** Cancels the current reading. */
  cancel(): void {
    this.#reading?.abort();
  }

  #forget(): void {
    this.#examples = [];
    this.#files = [];
    this.#heldOut = null;
  }

  #readAll(
    sources: readonly ByteSource[],
    data: DataOptions,
    control: { signal?: AbortSignal; onProgress?: (progress: DataProgress) => void },
  ): Promise<Dataset> {
    return readDataset(sources, {
      tokenizer: this.#tokenizer,
      vocab: this.#vocab,
      data,
      ...control,
    });
  }

  #keep(
    dataset: Dataset,
    heldOut: Example[] | null,
    files: string[],
    found: ColumnsFound | null,
  ): DatasetReport {
    const {
      examples,
      bad,
      truncated,
      rows,
      limited,
      formats,
      tokens,
      trainedTokens,
      files: parts,
    } = dataset;
    this.#examples = examples;
    this.#files = parts.map(({ name, examples }) => ({ name, examples }));
    this.#heldOut = heldOut;
    this.#prints = Float64Array.from(examples, fingerprint);
    return {
      files,
      parts,
      rows,
      limited,
      formats,
      examples: examples.length,
      badRows: bad.length,
      bad: bad.slice(0, badRowsShown),
      truncated,
      tokens,
      trainedTokens,
      longest: examples.reduce((most, e) => Math.max(most, e.ids.length), 0),
      checks: dataChecks(dataset, this.#prints, this.#tokenizer),
      found,
      previews: dataset.previews.map((row) => preview(row, this.#tokenizer, tokensShown)),
      heldOut: heldOut?.length ?? null,
    };
  }

  /**
   * What validation and the weights of files come to.
   * @throws InputError when nothing has been read, or for names that no file has
   */
  split(settings: SplitSettings, seed: number): SplitReport {
    const examples = this.#readExamples();
    return splitReport(
      this.#prints,
      examples.map((e) => e.ids.length),
      epochOf(filesOf(examples), settings, seed),
    );
  }

  #readExamples(): Example[] {
    if (this.#examples.length === 0)
      throw new InputError('bad-data', 'There is no data to train on.');
    return this.#examples;
  }

  /** All examples end to end. @throws InputError when nothing has been read */
  examples(): TrainingData {
    const examples = this.#readExamples();
    const starts = new Int32Array(examples.length + 1);
    for (const [i, e] of examples.entries()) starts[i + 1] = starts[i] + e.ids.length;
    const ids = new Int32Array(starts[examples.length]);
    const labels = new Int32Array(starts[examples.length]);
    for (const [i, e] of examples.entries()) {
      ids.set(e.ids, starts[i]);
      labels.set(e.labels, starts[i]);
    }
    return { ids, labels, starts, files: this.#files };
  }

  /** The held-out rows that came with the data, or else these rows of it. */
  heldOut(rows: Int32Array<ArrayBuffer>): HeldOutRow[] {
    const chosen = this.#heldOut ?? Array.from(rows, (i) => this.#examples[i]);
    const text = (ids: Int32Array) =>
      this.#tokenizer?.decode(ids, { skipSpecial: true }).trim() ?? ids.join(' ');
    return chosen
      .filter((e) => e.promptIds.length > 0 && e.answerIds.length > 0)
      .map(({ promptIds, answer, answerIds, choices = null }) => ({
        prompt: text(promptIds),
        expected: answer?.trim() ?? text(answerIds),
        promptIds,
        answer,
        answerIds,
        choices: choices && {
          ...choices,
          texts: choices.options.map(({ ids, labels }) =>
            text(ids.filter((_, t) => labels[t] !== IGNORE)),
          ),
        },
      }));
  }
}

/** Passes on what is due, with the time that the rest takes at the speed so far. */
function throttled(report: OnProgress): (progress: DataProgress) => void {
  const started = performance.now();
  let last = started;
  return (progress) => {
    const now = performance.now();
    if (now - last < reportEvery) return;
    last = now;
    const { bytes, totalBytes } = progress;
    report({ ...progress, secondsLeft: timeLeft(started, bytes, totalBytes) });
  };
}
