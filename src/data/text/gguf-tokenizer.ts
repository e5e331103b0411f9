// A tokenizer from the metadata of a GGUF file, as the tokenizer.json and tokenizer_config.json
// that it was converted from.
import { InputError } from '../../util/error.ts';
import type { GgufFile } from '../weights/gguf.ts';

type Json = Record<string, unknown>;

/** What a token is, as in llama.cpp. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

const byteLevel = (regex: boolean): Json => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: regex,
});
const splitBy = (digits: string): Json => ({
  type: 'Split',
  pattern: {
    Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: 'Isolated',
  invert: false,
});
const sequence = (...pretokenizers: Json[]): Json => ({ type: 'Sequence', pretokenizers });

interface Kind {
  pre: Json;
  normalizer?: Json;
  ignoreMerges?: boolean;
  /**
   * Whether the beginning-of-text token stands before a document where the metadata doesn't say.
   */
  addBos?: boolean;
}

const llama3: Kind = {
  pre: sequence(splitBy('\\p{N}{1,3}'), byteLevel(false)),
  ignoreMerges: true,
  addBos: true,
};
const qwen2: Kind = {
  pre: sequence(splitBy('\\p{N}'), byteLevel(false)),
  normalizer: { type: 'NFC' },
};
/** Byte-level tokenizers by `tokenizer.ggml.pre`. */
const kinds: Readonly<Record<string, Kind>> = {
  'gpt-2': { pre: byteLevel(true) },
  smollm: { pre: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)) },
  qwen2,
  'deepseek-r1-qwen': qwen2,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
};

/**
 * tokenizer.json and tokenizer_config.json, with the chat template, of a GGUF file: byte-level BPE
 * (`gpt2`) or SentencePiece BPE (`llama`).
 * @throws InputError('bad-tokenizer') naming the file, and what of the metadata is missing or
 *   unknown
 */
export function ggufTokenizer(file: Pick<GgufFile, 'name' | 'metadata'>): {
  json: Json;
  config: Json;
} {
  const fail = (what: string) => new InputError('bad-tokenizer', `${file.name}: ${what}.`);
  const value = (key: string) => file.metadata.get(`tokenizer.ggml.${key}`);
  const texts = (key: string): readonly string[] => {
    const list = value(key);
    if (Array.isArray(list)) return list as readonly string[];
    throw fail(`the metadata has no list of texts "tokenizer.ggml.${key}"`);
  };
  const model = value('model');
  if (model !== 'gpt2' && model !== 'llama')
    throw fail(`the tokenizer is "${String(model)}"; only "gpt2" and "llama" are supported`);
  const tokens = texts('tokens');
  const types = value('token_type');
  const typeOf = (id: number): number =>
    types instanceof Int32Array || types instanceof Uint32Array ? types[id] : NORMAL;
  const special = (key: string): string | undefined => {
    const id = value(`${key}_token_id`);
    return typeof id === 'number' ? tokens[id] : undefined;
  };
  const flag = (key: string, absent: boolean): boolean => {
    const set = value(key);
    return typeof set === 'boolean' ? set : absent;
  };
  const vocab = new Map<string, number>();
  const added: Json[] = [];
  tokens.forEach((content, id) => {
    const type = typeOf(id);
    if (type === UNUSED || content === '') return;
    if (!vocab.has(content)) vocab.set(content, id);
    if (type === CONTROL || type === USER_DEFINED || type === UNKNOWN)
      added.push({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: type !== USER_DEFINED,
      });
  });
  const bos = special('bos');
  const config: Json = {
    bos_token: bos,
    eos_token: special('eos'),
    unk_token: special('unknown'),
    pad_token: special('padding'),
    chat_template: file.metadata.get('tokenizer.chat_template'),
    clean_up_tokenization_spaces: false,
  };
  const bpe = { type: 'BPE', vocab: Object.fromEntries(vocab) };
  if (model === 'llama') {
    const scores = value('scores');
    if (!(scores instanceof Float32Array)) throw fail('the metadata has no scores of its tokens');
    Object.assign(config, {
      tokenizer_class: 'LlamaTokenizer',
      legacy: true,
      add_prefix_space: flag('add_space_prefix', true),
    });
    const merges = mergesOf(new Map([...vocab].filter(([, id]) => typeOf(id) === NORMAL)), scores);
    return {
      json: {
        added_tokens: added,
        normalizer: llamaSpaces,
        pre_tokenizer: null,
        post_processor: around(
          flag('add_bos_token', true) ? bos : undefined,
          flag('add_eos_token', false) ? special('eos') : undefined,
          vocab,
        ),
        decoder: llamaDecoder,
        model: {
          ...bpe,
          unk_token: special('unknown') ?? '<unk>',
          fuse_unk: true,
          byte_fallback: true,
          merges,
        },
      },
      config,
    };
  }
  const pre = value('pre') ?? 'gpt-2';
  const kind = typeof pre === 'string' && Object.hasOwn(kinds, pre) ? kinds[pre] : undefined;
  if (!kind)
    throw fail(
      `the tokenizer splits text as "${String(pre)}"; only ${Object.keys(kinds).join(', ')} are supported`,
    );
  const start = flag('add_bos_token', kind.addBos ?? false) ? bos : undefined;
  return {
    json: {
      added_tokens: added,
      normalizer: kind.normalizer ?? null,
      pre_tokenizer: kind.pre,
      post_processor: around(
        start,
        flag('add_eos_token', false) ? special('eos') : undefined,
        vocab,
      ),
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: { ...bpe, ignore_merges: kind.ignoreMerges ?? false, merges: texts('merges') },
    },
    config,
  };
}

const llamaSpaces: Json = {
  type: 'Sequence',
  normalizers: [
    { type: 'Prepend', prepend: '\u2581' },
    { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
  ],
};
const llamaDecoder: Json = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

/** The tokens that stand before and after a document; null where there are none. */
function around(
  before: string | undefined,
  after: string | undefined,
  vocab: ReadonlyMap<string, number>,
): Json | null {
  const present = [before, after].filter((t) => t !== undefined);
  if (present.length === 0) return null;
  const token = (id: string | undefined) =>
    id === undefined ? [] : [{ SpecialToken: { id, type_id: 0 } }];
  const single = [...token(before), { Sequence: { id: 'A', type_id: 0 } }, ...token(after)];
  const special_tokens = Object.fromEntries(
    present.map((id) => [id, { id, ids: [vocab.get(id)], tokens: [id] }]),
  );
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens,
  };
}

/**
 * The merges of a SentencePiece BPE vocabulary: every way to put a piece together from two others,
 * best score of the piece first, then by the ids of piece and parts; the order of the files that
 * transformers published.
 */
function mergesOf(pieces: ReadonlyMap<string, number>, scores: Float32Array): [string, string][] {
  const merges: { left: string; right: string; ids: [number, number, number] }[] = [];
  for (const [piece, id] of pieces) {
    let at = 0;
    for (const character of piece) {
      at += character.length;
      const [left, right] = [piece.slice(0, at), piece.slice(at)];
      const ids = [pieces.get(left), pieces.get(right)];
      if (ids[0] !== undefined && ids[1] !== undefined)
        merges.push({ left, right, ids: [id, ids[0], ids[1]] });
    }
  }
  return merges
    .sort(
      (a, b) =>
        scores[b.ids[0]] - scores[a.ids[0]] ||
        a.ids[0] - b.ids[0] ||
        a.ids[1] - b.ids[1] ||
        a.ids[2] - b.ids[2],
    )
    .map(({ left, right }) => [left, right]);
}
