// A model's tokenizer with its chat template, from tokenizer.json and its neighbours in a model
// folder.
import { Tokenizer as Engine } from '@huggingface/tokenizers';
import { InputError } from '../../util/error.ts';
import { parseJsonObject } from '../../util/json.ts';
import { type Folder, readAll } from '../source.ts';
import { ggufOf } from '../weights/gguf-folder.ts';
import { type ChatTemplate, loadChatTemplate } from './chat-template.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { asTransformersReads } from './tokenizer-json.ts';

/** Text to token ids and back. */
export interface Tokenizer {
  /** Largest id + 1. */
  readonly vocabSize: number;
  /** Null when the model has none. */
  readonly template: ChatTemplate | null;
  /** The end-of-sequence token, if the tokenizer names one. */
  readonly eosId: number | null;
  /**
   * Tokens that end an assistant turn: what the chat template puts after an answer, and the
   * end-of-sequence token.
   */
  readonly endOfTurnIds: readonly number[];
  /** Ids of exactly this text; special tokens only where the text spells them. */
  encode(text: string): number[];
  /**
   * Ids of a plain-text document, with the special tokens that the tokenizer itself adds around
   * one.
   */
  encodeDocument(text: string): number[];
  /** As encodeDocument, without the tokens that it puts at the end: a beginning to continue. */
  encodeStart(text: string): number[];
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
  /** One token for display: its text, or its raw name where it is a part of a character. */
  tokenText(id: number): string;
}

/**
 * Whether a model folder has a tokenizer: a tokenizer.json, or a GGUF file whose metadata has one.
 */
export async function hasTokenizer(folder: Folder): Promise<boolean> {
  const gguf = await ggufOf(folder);
  return gguf
    ? gguf.metadata.has('tokenizer.ggml.model')
    : folder.open('tokenizer.json') !== undefined;
}

/**
 * Loads the tokenizer of a model folder, or of its GGUF file. InputError('missing-file' or
 * 'bad-tokenizer') says which file is wrong and why.
 */
export async function loadTokenizer(folder: Folder): Promise<Tokenizer> {
  const gguf = await ggufOf(folder);
  const { json, config } = gguf ? ggufTokenizer(gguf) : await tokenizerFiles(folder);
  const engine = makeEngine(json, config);
  const special = specialTokens(config);
  const template = await loadChatTemplate(folder, config, special);
  return makeTokenizer(engine, template, special);
}

async function tokenizerFiles(
  folder: Folder,
): Promise<{ json: Record<string, unknown>; config: Record<string, unknown> }> {
  const file = folder.open('tokenizer.json');
  if (!file) throw new InputError('missing-file', `${folder.name}: there is no tokenizer.json.`);
  const configFile = folder.open('tokenizer_config.json');
  return {
    json: parseJsonObject(await readAll(file), file.name, 'bad-tokenizer'),
    config: configFile
      ? parseJsonObject(await readAll(configFile), configFile.name, 'bad-tokenizer')
      : {},
  };
}

function makeEngine(json: Record<string, unknown>, config: Record<string, unknown>): Engine {
  try {
    const engine = new Engine(asTransformersReads(json, config), config);
    const { ids } = engine.encode('Aa 1\u00e9', { add_special_tokens: false });
    engine.decode(ids.filter((id) => id !== undefined));
    return engine;
  } catch (e) {
    throw new InputError(
      'bad-tokenizer',
      `tokenizer.json: this tokenizer cannot be used (${(e as Error).message}).`,
    );
  }
}

/** bos_token, eos_token, …: text, or an object with its text in `content`. */
function specialTokens(config: Record<string, unknown>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const key of [
    'bos_token',
    'eos_token',
    'unk_token',
    'sep_token',
    'pad_token',
    'cls_token',
    'mask_token',
  ]) {
    const value = config[key];
    const text =
      typeof value === 'object' && value !== null
        ? (value as { content?: unknown }).content
        : value;
    if (typeof text === 'string') found[key] = text;
  }
  return found;
}

function makeTokenizer(
  engine: Engine,
  template: ChatTemplate | null,
  special: Record<string, string>,
): Tokenizer {
  const ids = (text: string, add: boolean): number[] => {
    if (text === '' && !add) return [];
    const found = engine.encode(text, { add_special_tokens: add }).ids as (number | undefined)[];
    const unknown = found.findIndex((id) => id === undefined || id === null);
    if (unknown >= 0)
      throw new InputError(
        'bad-data',
        `the tokenizer has no token for part of the text ${JSON.stringify(text.slice(0, 60))}`,
      );
    return found as number[];
  };
  const encode = (text: string) => ids(text, false);
  const before = putBefore(encode('a'), ids('a', true));
  let vocabSize = 0;
  for (const id of engine.get_vocab().values()) vocabSize = Math.max(vocabSize, id + 1);
  const eosId =
    special.eos_token === undefined ? null : (engine.token_to_id(special.eos_token) ?? null);
  const isSpecial = new Map(
    [...engine.get_added_tokens_decoder()].map(([id, token]) => [id, token.special]),
  );

  const decode = (list: ArrayLike<number>, { skipSpecial = false } = {}): string => {
    const known = Array.from(list).filter(
      (id) => engine.id_to_token(id) !== undefined && !(skipSpecial && isSpecial.get(id)),
    );
    return known.length === 0 ? '' : engine.decode(known, { clean_up_tokenization_spaces: false });
  };
  const ends = new Set<number>();
  const turnEnd = template && findTurnEnd(template, encode, isSpecial);
  if (typeof turnEnd === 'number') ends.add(turnEnd);
  if (eosId !== null) ends.add(eosId);

  return {
    vocabSize,
    template,
    eosId,
    endOfTurnIds: [...ends],
    encode,
    encodeDocument: (text) => ids(text, true),
    encodeStart: (text) => [...before, ...encode(text)],
    decode,
    tokenText: (id) => {
      const raw = engine.id_to_token(id);
      if (raw === undefined) return `<${id}>`;
      if (raw.includes('\u2581')) return raw.replaceAll('\u2581', ' ');
      const text = decode([id]);
      return text === '' || text.includes('\ufffd') ? raw : text;
    },
  };
}

/** The tokens that stand before `plain` in `whole`. */
function putBefore(plain: number[], whole: number[]): number[] {
  for (let at = 0; at + plain.length <= whole.length; at++) {
    if (plain.every((id, i) => whole[at + i] === id)) return whole.slice(0, at);
  }
  return [];
}

/** The first special token after an assistant's answer, or null. */
function findTurnEnd(
  template: ChatTemplate,
  encode: (text: string) => number[],
  isSpecial: ReadonlyMap<number, boolean>,
): number | null {
  const answer = 'Xanswer7';
  let text: string;
  try {
    text = template(
      [
        { role: 'user', content: 'Xquestion7' },
        { role: 'assistant', content: answer },
      ],
      false,
    );
  } catch {
    return null; // a template that wants other messages says so when rows are rendered
  }
  const at = text.lastIndexOf(answer);
  if (at < 0) return null;
  return encode(text.slice(at + answer.length)).find((id) => isSpecial.has(id)) ?? null;
}
