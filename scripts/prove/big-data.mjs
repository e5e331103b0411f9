// Opening large data files: what the readers hold in memory beside the tokens, and how fast they
// are, on files of 1 GB (JSONL, CSV) and 200 MB (Parquet).

import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parquetWriteFile } from 'hyparquet-writer';
import { build } from 'vite';
import { optionOf, root, say } from '../setup.mjs';

export const about =
  'memory and time of opening 1 GB of JSONL and CSV and 200 MB of Parquet [--share 0.1]';

/** Bytes that may be held while a file is read, beside what stays after it. */
const allowed = 64 * 2 ** 20;
const rowLength = 64_000;

/**
 * @typedef {typeof import('../../src/data/dataset/formats.ts') & typeof import('../../src/cli/files.ts')} Readers
 * @typedef {import('../../src/data/text/tokenizer.ts').Tokenizer} Tokenizer
 */

/**
 * The readers as one module, built for Node.
 * @param {string} folder
 * @returns {Promise<Readers>}
 */
async function readers(folder) {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    ssr: { noExternal: true },
    build: {
      ssr: true,
      outDir: join(folder, 'built'),
      target: 'node20',
      rolldownOptions: {
        input: {
          formats: join(root, 'src/data/dataset/formats.ts'),
          files: join(root, 'src/cli/files.ts'),
        },
        output: { entryFileNames: '[name].js' },
      },
    },
  });
  const load = (/** @type {string} */ name) =>
    import(pathToFileURL(join(folder, `built/${name}.js`)).href);
  return { ...(await load('formats')), ...(await load('files')) };
}

/**
 * Text that packs badly: words of random letters, another for each row.
 * @param {number} seed
 */
function text(seed) {
  let state = seed + 1;
  let out = '';
  while (out.length < rowLength) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out += `${state.toString(36)} `;
  }
  return out;
}

/**
 * @param {string} path
 * @param {number} bytes
 * @param {string} first
 * @param {(prompt: string) => string} line
 */
async function writeLines(path, bytes, first, line) {
  const file = createWriteStream(path);
  file.write(first);
  let written = first.length;
  for (let i = 0; written < bytes; i++) {
    const row = line(text(i));
    written += row.length;
    if (!file.write(row)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

/**
 * @param {string} path
 * @param {number} bytes
 */
function writeParquet(path, bytes) {
  const rows = Math.ceil(bytes / (0.75 * rowLength)); // random letters pack to about three quarters
  /**
   * @param {string} name
   * @param {string[]} data
   * @returns {import('hyparquet-writer').ColumnSource}
   */
  const column = (name, data) => ({ name, data, type: 'STRING' });
  parquetWriteFile({
    filename: path,
    rowGroupSize: rows,
    columnData: [
      column(
        'prompt',
        Array.from({ length: rows }, (_, i) => text(i)),
      ),
      column('completion', Array(rows).fill('yes')),
    ],
  });
}

/**
 * A stand-in for a tokenizer, so that reading is measured and not tokenising: a token is a word of
 * the first 400 characters.
 * @type {Tokenizer}
 */
const tokenizer = {
  vocabSize: 1000,
  template: null,
  eosId: 1,
  endOfTurnIds: [1],
  encode: (string) =>
    string
      .slice(-400)
      .split(' ')
      .map((word) => 2 + (word.length % 900)),
  encodeStart: (string) => tokenizer.encode(string),
  encodeDocument: (string) => tokenizer.encode(string),
  decode: () => '',
  tokenText: String,
};

/**
 * @param {Readers} readers
 * @param {string} path
 */
async function measure({ readDataset, fileSource }, path) {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const held = () => {
    gc();
    gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = held();
  let most = 0;
  let calls = 0;
  let resident = 0;
  const started = performance.now();
  const dataset = await readDataset([fileSource(path)], {
    tokenizer,
    vocab: 1000,
    data: { maxLength: 1024, completionOnly: true, template: 'auto' },
    onProgress: () => {
      resident = Math.max(resident, process.memoryUsage().rss);
      if (calls++ % 64 === 0) most = Math.max(most, held() - before);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const kept = held() - before;
  const megabytes = statSync(path).size / 1e6;
  return {
    megabytes: Math.round(megabytes),
    rows: dataset.rows,
    badRows: dataset.bad.length,
    keptMegabytes: Math.round(kept / 1e6),
    heldMegabytes: Math.round(most / 1e6),
    residentMegabytes: Math.round(resident / 1e6),
    megabytesPerSecond: Math.round(megabytes / seconds),
    passed: dataset.bad.length === 0 && most - kept < allowed,
  };
}

/** @param {string[]} options */
export default async function bigData(options) {
  const share = Number(optionOf(options, 'share') ?? 1);
  const folder = mkdtempSync(join(tmpdir(), 'guilomo-big-data-'));
  try {
    const modules = await readers(folder);
    /** @type {Record<string, (path: string) => Promise<void> | void>} */
    const files = {
      'a.jsonl': (path) =>
        writeLines(
          path,
          share * 1e9,
          '',
          (prompt) => `${JSON.stringify({ prompt, completion: 'yes' })}\n`,
        ),
      'a.csv': (path) =>
        writeLines(path, share * 1e9, 'prompt,completion\n', (prompt) => `"${prompt}",yes\n`),
      'a.parquet': (path) => writeParquet(path, share * 2e8),
    };
    /** @type {Record<string, Awaited<ReturnType<typeof measure>>>} */
    const figures = {};
    for (const [name, write] of Object.entries(files)) {
      const path = join(folder, name);
      await write(path);
      figures[name] = await measure(modules, path);
      say(`${name}: ${JSON.stringify(figures[name])}`);
      rmSync(path);
    }
    return { ...figures, passed: Object.values(figures).every(({ passed }) => passed) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
