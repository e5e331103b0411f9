// Datasets: files in, examples out, with every row that can't be used named by file, line and
// reason.
import { InputError } from '../../util/error.ts';
import { isNamed } from '../batching/split.ts';
import type { ByteSource } from '../source.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type DataFile, dataFiles } from './archives.ts';
import type { Dataset, DatasetOptions, RowPreview } from './dataset.ts';
import {
  BadRowError,
  finish,
  ownCopy,
  type Rendered,
  renderTokens,
  trainedCount,
} from './example.ts';
import { DocumentEncoder, renderRow, systemProblem } from './render-row.ts';
import type { Columns, RowFormat } from './roles.ts';
import type { Row } from './row.ts';
import { rowContent } from './row-content.ts';
import { openRows } from './rows.ts';

/** Rows that are worked on before messages are let in. */
const batchRows = 200;
/** Bad rows whose text is kept. */
const rawKept = 1000;
/** Rows that are kept as they were found, and characters of each. */
const previewsKept = 20;
const previewLength = 4000;

/**
 * Reads dataset files, as streams: a file is not held in memory, only its tokens. Bad rows are left
 * out and listed; a file that is empty, binary or of no known kind, and data without any row to
 * train on, are an InputError('bad-data').
 */
export async function readDataset(
  sources: readonly ByteSource[],
  options: DatasetOptions,
): Promise<Dataset> {
  if (sources.length === 0) throw new InputError('bad-data', 'There is no data file.');
  const reader = new DatasetReader(
    options,
    sources.reduce((sum, s) => sum + s.size, 0),
  );
  for (const source of sources) await reader.read(source);
  const { dataset } = reader;
  const names = sources.map((s) => s.name).join(', ');
  if (dataset.rows === 0) throw new InputError('bad-data', `${names}: there are no rows.`);
  if (dataset.examples.length === 0) {
    const { file, line, reason } = dataset.bad[0];
    throw new InputError(
      'bad-data',
      `${names}: none of ${dataset.rows} rows can be used; the first: ${file} line ${line}: ${reason}.`,
    );
  }
  return dataset;
}

class DatasetReader {
  readonly dataset: Dataset = {
    examples: [],
    files: [],
    bad: [],
    previews: [],
    truncated: 0,
    rows: 0,
    limited: false,
    formats: {},
    tokens: 0,
    trainedTokens: 0,
  };
  readonly #tokenizer: Tokenizer | null;
  readonly #columns: Columns | null;
  readonly #limit: number;
  #isSystemChecked = false;
  /** This file counts for the limit; examples of all such files. */
  #isCounted = true;
  #counted = 0;
  /** Bytes of the files before this one, and of this one so far. */
  #before = 0;
  #bytes = 0;

  constructor(
    private readonly options: DatasetOptions,
    private readonly totalBytes: number,
  ) {
    const { tokenizer, data } = options;
    this.#tokenizer =
      tokenizer && data.template === 'none' ? { ...tokenizer, template: null } : tokenizer;
    this.#columns = data.columns ?? null;
    this.#limit = data.limit ?? Number.POSITIVE_INFINITY;
  }

  async read(source: ByteSource): Promise<void> {
    if (source.size === 0) throw new InputError('bad-data', `${source.name}: the file is empty.`);
    const control = {
      signal: this.options.signal,
      onBytes: (bytes: number) => (this.#bytes = bytes),
    };
    for (const file of await dataFiles(source, control)) {
      this.#isCounted = !this.options.data.whole?.some((name) => isNamed(file.name, name));
      if (!this.#isCounted || !this.dataset.limited)
        await this.#reported(file.name, () => this.#readFile(file, control));
    }
    this.#before += source.size;
    this.#bytes = 0;
  }

  /** Reads a file and adds what was found in it to the report. */
  async #reported(name: string, read: () => Promise<void>): Promise<void> {
    const count = ({ rows, bad, examples, tokens }: Dataset) => ({
      rows,
      badRows: bad.length,
      examples: examples.length,
      tokens,
    });
    const { files, formats } = this.dataset;
    const [before, known] = [count(this.dataset), { ...formats }];
    await read();
    const found = count(this.dataset);
    for (const key of Object.keys(found) as (keyof typeof found)[]) found[key] -= before[key];
    const names = (Object.keys(formats) as RowFormat[]).filter(
      (format) => formats[format] !== known[format],
    );
    files.push({ name, ...found, formats: names });
  }

  async #readFile(
    file: DataFile,
    control: { signal?: AbortSignal; onBytes: (bytes: number) => void },
  ): Promise<void> {
    const content = await openRows(file, this.#columns, control);
    if (content.kind === 'text') return this.#readText(file.name, content.chunks);
    for await (const batch of content.batches) {
      for (let at = 0; at < batch.length; at += batchRows) {
        for (const row of batch.slice(at, at + batchRows)) {
          if (this.#isFull()) return;
          this.#addRow(file.name, row);
        }
        await this.#pause();
      }
    }
  }

  /** Whether there is no room for what comes now. */
  #isFull(): boolean {
    if (!this.#isCounted) return false;
    this.dataset.limited ||= this.#counted >= this.#limit;
    return this.dataset.limited;
  }

  /** Reports, lets messages in, and stops when told to. */
  async #pause(): Promise<void> {
    const { signal, onProgress } = this.options;
    onProgress?.({
      bytes: this.#before + this.#bytes,
      totalBytes: this.totalBytes,
      rows: this.dataset.rows,
    });
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
  }

  #addRow(file: string, row: Row): void {
    const { dataset, options } = this;
    const { line } = row;
    dataset.rows++;
    try {
      const { format, content } = rowContent(row.value(), this.#columns, options.data.system);
      dataset.formats[format] = (dataset.formats[format] ?? 0) + 1;
      if (content.kind === 'tokens') {
        this.#add(renderTokens(content.ids, content.labels), { file, line }, false, row);
        return;
      }
      if (!this.#tokenizer) throw needsTokenizer(file);
      if (content.kind === 'text') {
        const documents = new DocumentEncoder(this.#tokenizer, options.data.maxLength);
        this.#addPieces(documents.whole(content.text), file, () => line, row);
        return;
      }
      this.#checkSystem();
      const rendered = renderRow(content, this.#tokenizer, options.data.turns ?? 'all');
      const choices =
        content.kind === 'choices' ? { texts: content.choices, correct: content.correct } : null;
      this.#add(rendered, { file, line }, !options.data.completionOnly, row, choices);
    } catch (e) {
      if (!(e instanceof BadRowError) && !(e instanceof InputError && e.code === 'bad-data'))
        throw e;
      const raw = dataset.bad.length < rawKept ? ownCopy(row.raw.slice(0, 500)) : '';
      const kind = e instanceof BadRowError ? e.kind : 'other';
      dataset.bad.push({ file, line, kind, reason: e.message, raw });
    }
  }

  /** Sees once that data.system will be there in what is rendered. */
  #checkSystem(): void {
    const { system } = this.options.data;
    if (this.#isSystemChecked || system == null) return;
    const problem = systemProblem(system, this.#tokenizer?.template ?? null);
    if (problem !== null)
      throw new InputError(
        'bad-config',
        `data.system, the system prompt, cannot be used: ${problem}.`,
      );
    this.#isSystemChecked = true;
  }

  /**
   * A whole document, cut into pieces of maxLength tokens; every token but a piece's first carries
   * loss.
   */
  async #readText(name: string, chunks: AsyncIterable<string>): Promise<void> {
    if (!this.#tokenizer) throw needsTokenizer(name);
    const documents = new DocumentEncoder(this.#tokenizer, this.options.data.maxLength);
    const before = this.dataset.rows;
    const count = () => ++this.dataset.rows - before;
    const add = (pieces: () => Rendered[]) =>
      named(name, () => this.#addPieces(pieces(), name, count));
    for await (const text of chunks) {
      add(() => documents.push(text));
      if (this.#isCounted && this.dataset.limited) return;
      await this.#pause();
    }
    add(() => documents.end());
    if (this.dataset.rows === before)
      throw new InputError('bad-data', `${name}: the text is too short to learn from.`);
  }

  #addPieces(pieces: Rendered[], file: string, line: () => number, row: Row | null = null): void {
    for (const piece of pieces) {
      if (this.#isFull()) return;
      this.#add(piece, { file, line: line() }, true, row);
    }
  }

  /** @throws BadRowError where it cannot be used */
  #add(
    rendered: Rendered,
    where: { file: string; line: number },
    trainAll: boolean,
    row: Row | null,
    choices: RowPreview['choices'] = null,
  ): void {
    const { dataset, options } = this;
    const example = finish(rendered, where, {
      maxLength: options.data.maxLength,
      vocab: options.vocab,
      trainAll,
    });
    dataset.examples.push(example);
    this.#counted += this.#isCounted ? 1 : 0;
    dataset.truncated += example.truncated ? 1 : 0;
    dataset.tokens += example.ids.length;
    dataset.trainedTokens += trainedCount(example.labels);
    if (dataset.previews.length === previewsKept) return;
    const beginning = (text: string | null | undefined) =>
      text == null ? null : ownCopy(text.slice(0, previewLength));
    dataset.previews.push({
      ...where,
      raw: beginning(row?.raw),
      choices,
      text: beginning(rendered.text),
      ids: rendered.ids,
      example,
    });
  }
}

const needsTokenizer = (file: string) =>
  new InputError(
    'missing-file',
    `${file}: text needs a tokenizer, and the model folder has no tokenizer.json (only pre-tokenised rows need none).`,
  );

/** Runs `work` on the text of a file; what cannot be used of it is an error that names the file. */
function named<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof BadRowError) throw new InputError('bad-data', `${file}: ${e.message}.`);
    throw e instanceof InputError ? new InputError(e.code, `${file}: ${e.message}.`) : e;
  }
}
