// tokenizer.json as transformers reads it, where the tokenizer library reads it otherwise.

type Json = Record<string, unknown>;

/** The given tokenizer.json with what makes ids equal transformers': `config` is tokenizer_config.json. */
export function asTransformersReads(json: Json, config: Json): Json {
  const llama = withLlamaSpaces(json, config);
  return { ...llama, pre_tokenizer: withUnicodeSpaces(llama.pre_tokenizer) };
}

/**
 * transformers 5 builds its LlamaTokenizer anew and takes from tokenizer.json only the vocabulary: the space before a text is put there by a
 * Metaspace pre-tokenizer, which leaves a text that begins with one alone, instead of by the normalizer of the file.
 */
function withLlamaSpaces(json: Json, config: Json): Json {
  const isLlama = config.tokenizer_class === 'LlamaTokenizer' || config.tokenizer_class === 'LlamaTokenizerFast';
  if (!isLlama || !JSON.stringify(json.normalizer ?? null).includes('"Prepend"')) return json;
  const scheme = config.add_prefix_space === false ? 'never' : config.legacy === true ? 'always' : 'first';
  return { ...json, normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: scheme, split: false } };
}

/** What a byte-level pre-tokenizer splits text by when it is told nothing else. */
const byteLevelPattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The library's own byte-level pattern has JavaScript's spaces (with U+FEFF, without U+0085); spelt out, the pattern gets Unicode's. */
function withUnicodeSpaces(pre: unknown): unknown {
  if (typeof pre !== 'object' || pre === null) return pre;
  const node = pre as Json;
  if (node.type === 'Sequence' && Array.isArray(node.pretokenizers))
    return { ...node, pretokenizers: node.pretokenizers.map(withUnicodeSpaces) };
  if (node.type !== 'ByteLevel' || node.use_regex === false || node.add_prefix_space === true) return node;
  const split = { type: 'Split', pattern: { Regex: byteLevelPattern }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, { ...node, use_regex: false }] };
}
