// The Llama-family decoder as a function that records: embedding, blocks, and where the head's rows
// come from.
import { groupKey } from '../adapters/layout.ts';
import { type Adapter, adaptedLinears, type Linear } from '../adapters/project.ts';
import type { Target } from '../allocation/allocation.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import {
  attention,
  type BatchSpan,
  type Cache,
  type RopeTables,
  rope,
  ropeIntoCache,
} from '../ops/attention/attention.ts';
import { embed } from '../ops/embed.ts';
import { swiglu } from '../ops/mlp.ts';
import { rmsNorm } from '../ops/norm.ts';
import { headLogits } from '../ops/product/head.ts';
import type { ModelConfig } from './config.ts';
import type { LayerWeights, ModelWeights } from './weights.ts';

/**
 * What is recorded again in the backward pass instead of kept: nothing, the MLPs, or whole blocks.
 */
export type Recompute = 'none' | 'mlp' | 'block';

/** Everything that a recording of the decoder needs. */
export interface DecoderInput {
  config: ModelConfig;
  weights: ModelWeights;
  /** (rows·seqLen), u32. */
  ids: Tensor;
  span: BatchSpan;
  tables: RopeTables;
  adapter: Adapter | null;
  caches?: readonly Cache[];
  recompute?: Recompute;
}

type LinearFn = (targets: readonly Target[], x: Tensor, residual?: Tensor) => Tensor[];

function attentionBlock(
  rec: Recorder,
  input: DecoderInput,
  layer: LayerWeights,
  linear: LinearFn,
  x: Tensor,
  cache?: Cache,
): Tensor {
  const { config, span, tables } = input;
  const n = rmsNorm(rec, x, layer.inputNorm, config.normEps);
  let [q, k, v] = linear(['q_proj', 'k_proj', 'v_proj'], n);
  if (layer.qNorm) q = rmsNorm(rec, q, layer.qNorm, config.normEps);
  if (layer.kNorm) k = rmsNorm(rec, k, layer.kNorm, config.normEps);
  if (cache) ropeIntoCache(rec, { q, k, v }, tables, span, config, cache);
  else rope(rec, q, k, tables, span, config);
  const o = attention(rec, q, k, v, span, config, cache);
  return linear(['o_proj'], o, x)[0];
}

function mlpBlock(
  rec: Recorder,
  input: DecoderInput,
  layer: LayerWeights,
  linear: LinearFn,
  x: Tensor,
): Tensor {
  const n = rmsNorm(rec, x, layer.postNorm, input.config.normEps);
  const [gate, up] = linear(['gate_proj', 'up_proj'], n);
  return linear(['down_proj'], swiglu(rec, gate, up), x)[0];
}

/** Records the decoder up to the residual stream before the final norm. Returns (rows·seqLen, C). */
export function decoder(rec: Recorder, input: DecoderInput): Tensor {
  const { weights, adapter, recompute = 'none' } = input;
  let x = embed(rec, input.ids, weights.embedding);
  weights.layers.forEach((layer, number) => {
    const linear: LinearFn = (targets, value, residual) => {
      const bases: Linear[] = targets.map((t) => layer.linears[t]);
      const group = adapter?.layout.groups.get(groupKey(number, targets[0]));
      return adaptedLinears(rec, bases, value, group, adapter, residual);
    };
    const start = x;
    const attended = () => attentionBlock(rec, input, layer, linear, start, input.caches?.[number]);
    if (recompute === 'block')
      x = rec.checkpoint(() => mlpBlock(rec, input, layer, linear, attended()));
    else {
      const middle = attended();
      const mlp = () => mlpBlock(rec, input, layer, linear, middle);
      x = recompute === 'mlp' ? rec.checkpoint(mlp) : mlp();
    }
  });
  return x;
}

/** Final norm and head of rows of the residual stream: logits (rows, V) into `logits`. */
export function decoderLogits(
  rec: Recorder,
  rows: Tensor,
  { config, weights }: Pick<DecoderInput, 'config' | 'weights'>,
  logits: Tensor,
): void {
  const x = { tensor: rmsNorm(rec, rows, weights.norm, config.normEps), stride: config.hidden };
  headLogits(rec, x, rows.shape[0], weights.head, logits);
}

/** Cosine and sine tables as constants of a program. */
export function ropeConstants(
  tables: { cosines: Float32Array<ArrayBuffer>; sines: Float32Array<ArrayBuffer> },
  headDim: number,
): RopeTables {
  const shape = [tables.cosines.length / (headDim / 2), headDim / 2];
  return {
    cosines: tensor('cosines', shape, { kind: 'constant', data: tables.cosines }),
    sines: tensor('sines', shape, { kind: 'constant', data: tables.sines }),
  };
}
