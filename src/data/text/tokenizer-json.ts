// tokenizer.json as transformers reads it, where the tokenizer library reads it otherwise.

type Json = Record<string, unknown>;

/**
 * The given tokenizer.json with what makes ids equal transformers': `config` is
 * tokenizer_config.json.
 */
export function asTransformersReads(json: Json, config: Json): Json {
  const llama = withLlamaSpaces(json, config);
  return { ...llama, pre_tokenizer: withUnicodeClasses(llama.pre_tokenizer) };
}

/**
 * transformers 5 builds its LlamaTokenizer anew and takes from tokenizer.json only the vocabulary:
 * the space before a text is put there by a Metaspace pre-tokenizer, which leaves a text that
 * begins with one alone, instead of by the normalizer of the file.
 */
function withLlamaSpaces(json: Json, config: Json): Json {
  const isLlama =
    config.tokenizer_class === 'LlamaTokenizer' || config.tokenizer_class === 'LlamaTokenizerFast';
  if (!isLlama || !JSON.stringify(json.normalizer ?? null).includes('"Prepend"')) return json;
  const scheme =
    config.add_prefix_space === false ? 'never' : config.legacy === true ? 'always' : 'first';
  return {
    ...json,
    normalizer: null,
    pre_tokenizer: {
      type: 'Metaspace',
      replacement: '\u2581',
      prepend_scheme: scheme,
      split: false,
    },
  };
}

/** The pattern that a byte-level pre-tokenizer splits text by, unless the file gives another. */
const byteLevelPattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * The library's own patterns have JavaScript's spaces (with U+FEFF, without U+0085) and ASCII's
 * digits; spelt out, they get Unicode's.
 */
function withUnicodeClasses(pre: unknown): unknown {
  if (typeof pre !== 'object' || pre === null) return pre;
  const node = pre as Json;
  if (node.type === 'Sequence' && Array.isArray(node.pretokenizers))
    return { ...node, pretokenizers: node.pretokenizers.map(withUnicodeClasses) };
  if (node.type === 'Digits')
    return isolated(node.individual_digits === true ? '\\p{N}' : '\\p{N}+');
  if (node.type !== 'ByteLevel' || node.use_regex === false || node.add_prefix_space === true)
    return node;
  return {
    type: 'Sequence',
    pretokenizers: [isolated(byteLevelPattern), { ...node, use_regex: false }],
  };
}

const isolated = (regex: string): Json => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});
