// Datasets: files in, examples out, with every row that can't be used named by file, line and reason.
import { InputError } from '../util/error.ts';
import { decodeText } from '../util/json.ts';
import { BadRowError, type Example, finish, renderChat, renderPlain, renderTokens, trainedCount } from './example.ts';
import { type Columns, fileKind, type RowContent, readRows } from './rows.ts';
import { type ByteSource, readAll } from './source.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A row that was left out. `raw` is its beginning, as it stands in the file. */
export interface BadRow {
  file: string;
  line: number;
  reason: string;
  raw: string;
}

export interface Dataset {
  examples: Example[];
  bad: BadRow[];
  /** Rows cut to maxLength. */
  truncated: number;
  /** Rows found, good and bad (plain text: pieces). */
  rows: number;
  /** Tokens of all examples, and those of them that carry loss. */
  tokens: number;
  trainedTokens: number;
}

export interface DatasetOptions {
  /** Null: only pre-tokenised rows can be read. */
  tokenizer: Tokenizer | null;
  vocab: number;
  data: { maxLength: number; completionOnly: boolean; template: 'auto' | 'none'; columns?: Columns | null };
  /** Instead of data.columns. */
  columns?: Columns | null;
  /** Called now and then; may throw to stop. */
  onProgress?: (rows: number, total: number) => void;
}

/**
 * Reads dataset files. Bad rows are left out and listed; a file that is empty, binary or of no known kind, and data without any
 * row to train on, are an InputError('bad-data').
 */
export async function readDataset(sources: readonly ByteSource[], options: DatasetOptions): Promise<Dataset> {
  if (sources.length === 0) throw new InputError('bad-data', 'There is no data file.');
  const dataset: Dataset = { examples: [], bad: [], truncated: 0, rows: 0, tokens: 0, trainedTokens: 0 };
  for (const source of sources) await readFile(source, options, dataset);
  const names = sources.map((s) => s.name).join(', ');
  if (dataset.rows === 0) throw new InputError('bad-data', `${names}: there are no rows.`);
  if (dataset.examples.length === 0) {
    const { file, line, reason } = dataset.bad[0];
    throw new InputError('bad-data', `${names}: none of ${dataset.rows} rows can be used; the first: ${file} line ${line}: ${reason}.`);
  }
  return dataset;
}

async function readFile(source: ByteSource, options: DatasetOptions, dataset: Dataset): Promise<void> {
  const { name } = source;
  if (source.size === 0) throw new InputError('bad-data', `${name}: the file is empty.`);
  const text = decodeText(await readAll(source), name, 'bad-data');
  if (text.trim() === '') throw new InputError('bad-data', `${name}: the file is empty.`);
  const kind = fileKind(name, text);
  if (kind === 'text') {
    addText(name, text, options, dataset);
    return;
  }
  const rows = readRows(name, text, kind, options.columns ?? options.data.columns ?? null);
  const tokenizer = withTemplate(options);
  for (const [i, { line, raw, content }] of rows.entries()) {
    dataset.rows++;
    try {
      const row = content();
      const rendered = render(row, tokenizer, name);
      add(dataset, finish(rendered, { file: name, line }, limits(options, row.kind !== 'tokens' && !options.data.completionOnly)));
    } catch (e) {
      if (!(e instanceof BadRowError) && !(e instanceof InputError && e.code === 'bad-data')) throw e;
      dataset.bad.push({ file: name, line, reason: e.message, raw: raw.slice(0, 500) });
    }
    if (options.onProgress && (i % 500 === 499 || i === rows.length - 1)) {
      options.onProgress(i + 1, rows.length);
      await new Promise((resolve) => setTimeout(resolve)); // lets messages in
    }
  }
}

const limits = ({ data, vocab }: DatasetOptions, trainAll: boolean) => ({ maxLength: data.maxLength, vocab, trainAll });

const withTemplate = ({ tokenizer, data }: DatasetOptions): Tokenizer | null =>
  tokenizer && data.template === 'none' ? { ...tokenizer, template: null } : tokenizer;

function render(row: RowContent, tokenizer: Tokenizer | null, file: string) {
  if (row.kind === 'tokens') return renderTokens(row.ids, row.labels);
  if (!tokenizer) throw needsTokenizer(file);
  if (row.kind === 'messages') return renderChat(row.messages, tokenizer);
  const { prompt, completion } = row;
  if (!tokenizer.template) return renderPlain(prompt, completion, tokenizer);
  return renderChat(
    [
      { role: 'user', content: prompt },
      { role: 'assistant', content: completion },
    ],
    tokenizer,
  );
}

const needsTokenizer = (file: string) =>
  new InputError(
    'missing-file',
    `${file}: text needs a tokenizer, and the model folder has no tokenizer.json (pre-tokenised rows do without).`,
  );

function add(dataset: Dataset, example: Example): void {
  dataset.examples.push(example);
  dataset.truncated += example.truncated ? 1 : 0;
  dataset.tokens += example.ids.length;
  dataset.trainedTokens += trainedCount(example.labels);
}

function encodeWhole(name: string, text: string, tokenizer: Tokenizer): number[] {
  try {
    return tokenizer.encodeDocument(text);
  } catch (e) {
    throw e instanceof InputError ? new InputError(e.code, `${name}: ${e.message}.`) : e;
  }
}

/** A whole document in pieces of maxLength tokens; every token but a piece's first carries loss. A last piece of one token is left out. */
function addText(name: string, text: string, options: DatasetOptions, dataset: Dataset): void {
  if (!options.tokenizer) throw needsTokenizer(name);
  const { maxLength } = options.data;
  const ids = encodeWhole(name, text, options.tokenizer);
  if (ids.length < 2) throw new InputError('bad-data', `${name}: the text is too short to learn from.`);
  const outside = ids.find((id) => id >= options.vocab);
  if (outside !== undefined) {
    throw new InputError(
      'bad-data',
      `${name}: token id ${outside} is outside the vocabulary (0 to ${options.vocab - 1}): tokenizer.json is not this model's.`,
    );
  }
  for (let start = 0, piece = 1; start + 1 < ids.length; start += maxLength, piece++) {
    const part = ids.slice(start, start + maxLength);
    dataset.rows++;
    add(
      dataset,
      finish({ ids: part, labels: part, promptIds: [], answer: null, answerIds: [] }, { file: name, line: piece }, limits(options, true)),
    );
  }
}
