// Every sentence that the program can say, on the page, in the command line and in errors, read out
// of the sources: `node scripts/sentences.mjs` prints them by file. The words to avoid are those of
// CONTRIBUTING.md.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'vite';
import { root } from './setup.mjs';

/** @typedef {{ type: string, start: number, end: number, [key: string]: any }} Node */

/** Attributes of elements that people never read. */
const UNREAD = /^(className|style|d|viewBox|id|key|type|role|href|slot|data-|look|name$)/;
/** Text that isn't the program's own: shaders, keys, paths, class names, selectors. */
const IS_CODE = [
  /^[\s\d\W]*$/,
  /^(?![A-Z])(?!.*[a-z][,.;:]( |$))(.* )?(flex|grid|grow|shrink-0|block|absolute|relative|sticky|rounded|text-\S+|bg-\S+|px-\d\S*|py-\d\S*|gap-\S+|w-\S+|h-\S+|mt-\S+|min-w-0)( |$)/,
  /^[a-z]+(\.[a-z]+)+$/i,
  /^(\.{0,2}\/|https?:|@|--)\S*$/,
  /[{};]\s*\n|@(group|binding|compute)|(^|\s)(fn|let|var|var<\w+>|const|override|struct) \w+ ?[=:({]|->|read_write>|read>/,
];

/**
 * Text of a literal, a template or JSX; `…` stands for what is put in.
 * @param {Node} node
 * @returns {string | null}
 */
function textOf(node) {
  if (node.type === 'JSXText') return node.value;
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : null;
  if (node.type !== 'TemplateLiteral') return null;
  return node.quasis.map((/** @type {Node} */ q) => q.value.cooked).join('…');
}

/**
 * Whether people read a text: several words, or one that begins a label.
 * @param {string} text
 */
const isRead = (text) =>
  !IS_CODE.some((code) => code.test(text)) &&
  (/[a-z’'…)]+[,.:;]? +[a-z(“"…]/i.test(text) || /^[A-Z][a-z]+( |$)/.test(text));

/**
 * The sentences of a source file, in order.
 * @param {string} path @param {string} source
 * @returns {string[]}
 */
export function sentencesOf(path, source) {
  /** @type {string[]} */
  const found = [];
  /** @param {Node} node */
  const visit = (node) => {
    if (/^(Import|ExportAll|TSLiteralType|TSImport|TSEnum)/.test(node.type)) return;
    if (node.type === 'JSXAttribute' && UNREAD.test(node.name.name ?? '')) return;
    const text = textOf(node)?.replace(/\s+/g, ' ').trim();
    if (text && isRead(text)) found.push(text);
    for (const [key, child] of Object.entries(node)) {
      if (key === 'key' && node.type === 'Property') continue;
      for (const part of Array.isArray(child) ? child : [child])
        if (part && typeof part.type === 'string') visit(part);
    }
  };
  const { program, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  visit(/** @type {any} */ (program));
  return [...new Set(found)];
}

/** Sources whose texts people can come to read. */
const SAYS =
  /^src\/(?!testing|reference|ops\/|graph\/|gpu\/wgsl).*\.tsx?$|^src\/(ops\/families|ops\/loss|gpu\/\w+|graph\/\w+)\.ts$|^scripts\/(start|setup|test|chromium|dawn|cli)\.mjs$/;

/** All sentences by file. @returns {{ path: string, sentences: string[] }[]} */
export const allSentences = () =>
  ['src', 'scripts']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(
        (name) => `${folder}/${name.replaceAll('\\', '/')}`,
      ),
    )
    .filter((path) => SAYS.test(path) && !/\.test\.|\.d\.ts$/.test(path))
    .map((path) => ({ path, sentences: sentencesOf(path, readFileSync(join(root, path), 'utf8')) }))
    .filter(({ sentences }) => sentences.length > 0)
    .sort((a, b) => a.path.localeCompare(b.path));

if (process.argv[1] === import.meta.filename)
  for (const { path, sentences } of allSentences())
    process.stdout.write(`${path}\n${sentences.map((text) => `  ${text}\n`).join('')}\n`);
