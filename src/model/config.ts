// The shape of a Llama-family decoder, read from a Hugging Face config.json.

/** Rotary position scaling, as in transformers' `rope_scaling` / `rope_parameters`. */
export type RopeScaling =
  | { type: 'default' }
  | { type: 'linear'; factor: number }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositions: number };

/** A decoder's hyperparameters. Letters of the method in brackets. */
export interface ModelConfig {
  architecture: 'llama' | 'qwen2' | 'qwen3';
  hidden: number; // C
  layers: number; // L
  heads: number; // H
  kvHeads: number; // G
  headDim: number; // D
  feedForward: number; // F
  vocab: number; // V
  normEps: number;
  tiedHead: boolean;
  qkvBias: boolean;
  outputBias: boolean; // o_proj (Llama with attention_bias)
  mlpBias: boolean;
  qkNorm: boolean;
  rope: { theta: number; scaling: RopeScaling };
  maxPositions: number;
  bosId: number | null;
  eosIds: number[];
  dtype: string;
}
