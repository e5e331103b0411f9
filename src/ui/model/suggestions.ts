// Small models to begin with, as their pages on the Hub describe them.

/** A model of the Hub; `size` is that of its weights in 16 bits, in bytes, to three digits. */
export interface Suggestion {
  id: string;
  /** Its name among the shapes that can be sized. */
  shape: string;
  parameters: string;
  size: number;
  /** Tokens. */
  context: number;
  licence: string;
  /** An account that accepted the terms, and its access token, are needed. */
  gated?: true;
}

export const SUGGESTIONS: readonly Suggestion[] = [
  {
    id: 'HuggingFaceTB/SmolLM2-135M',
    shape: 'smollm2-135m',
    parameters: '135 M',
    size: 269e6,
    context: 8192,
    licence: 'Apache 2.0',
  },
  {
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    shape: 'smollm2-135m',
    parameters: '135 M',
    size: 269e6,
    context: 8192,
    licence: 'Apache 2.0',
  },
  {
    id: 'HuggingFaceTB/SmolLM2-360M',
    shape: 'smollm2-360m',
    parameters: '362 M',
    size: 724e6,
    context: 8192,
    licence: 'Apache 2.0',
  },
  {
    id: 'HuggingFaceTB/SmolLM2-360M-Instruct',
    shape: 'smollm2-360m',
    parameters: '362 M',
    size: 724e6,
    context: 8192,
    licence: 'Apache 2.0',
  },
  {
    id: 'Qwen/Qwen2.5-0.5B',
    shape: 'qwen2.5-0.5b',
    parameters: '494 M',
    size: 988e6,
    context: 32_768,
    licence: 'Apache 2.0',
  },
  {
    id: 'Qwen/Qwen2.5-0.5B-Instruct',
    shape: 'qwen2.5-0.5b',
    parameters: '494 M',
    size: 988e6,
    context: 32_768,
    licence: 'Apache 2.0',
  },
  {
    id: 'Qwen/Qwen3-0.6B',
    shape: 'qwen3-0.6b',
    parameters: '0.6 B',
    size: 1.5e9,
    context: 32_768,
    licence: 'Apache 2.0',
  },
  {
    id: 'meta-llama/Llama-3.2-1B',
    shape: 'llama-3.2-1b',
    parameters: '1.24 B',
    size: 2.47e9,
    context: 131_072,
    licence: 'Llama 3.2 Community',
    gated: true,
  },
  {
    id: 'TinyLlama/TinyLlama-1.1B-Chat-v1.0',
    shape: 'tinyllama-1.1b',
    parameters: '1.1 B',
    size: 2.2e9,
    context: 2048,
    licence: 'Apache 2.0',
  },
];
