// Logits of every position of equal-length sequences: what `logits` writes and what comparisons are
// made with.
import type { AdapterLayout } from '../adapters/layout.ts';
import { adapterOf } from '../adapters/project.ts';
import { readF32 } from '../gpu/buffers.ts';
import { Program, ProgramMemory } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { tensor } from '../graph/tensor.ts';
import { routingSize } from '../ops/adapter.ts';
import { InputError } from '../util/error.ts';
import { decoder, decoderLogits, ropeConstants } from './decoder.ts';
import type { LoadedModel } from './load.ts';
import { ropeTables } from './rope.ts';

/**
 * Logits (B, T, V) in f32 for token ids (B, T), with an adapter where one is given (its parameters
 * allocated).
 * @throws InputError for rows of unequal length, ids outside the vocabulary, or logits too large
 *   for one binding
 */
export async function forwardLogits(
  model: LoadedModel,
  layout: AdapterLayout | null,
  ids: readonly (readonly number[])[],
  where = 'input',
): Promise<Float32Array<ArrayBuffer>> {
  const { config, weights, gpu } = model;
  const seqLen = ids[0]?.length ?? 0;
  if (seqLen === 0) throw new InputError('bad-data', `${where}: no token ids.`);
  ids.forEach((row, r) => {
    if (row.length !== seqLen)
      throw new InputError(
        'bad-data',
        `${where}: row ${r + 1} has ${row.length} ids, the first has ${seqLen}; all must be equally long.`,
      );
    const bad = row.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocab);
    if (bad !== undefined)
      throw new InputError(
        'bad-data',
        `${where}: row ${r + 1} has the id ${bad}; the vocabulary is 0 to ${config.vocab - 1}.`,
      );
  });
  const tokens = ids.length * seqLen;
  if (tokens * config.vocab * 4 > gpu.maxBinding)
    throw new InputError(
      'bad-data',
      `${where}: the logits of ${tokens} tokens do not fit in one binding; use fewer or shorter rows.`,
    );
  const memory = new ProgramMemory(gpu, layout ? [layout.store] : []);
  memory.share(weights.all, model.memory);
  const state = (
    name: string,
    shape: number[],
    data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>,
  ) => {
    const dtype = data instanceof Uint32Array ? 'u32' : 'f32';
    const t = tensor(name, shape, { kind: 'state', dtype, data });
    memory.allocate(t);
    return t;
  };
  const rows = ids.length;
  const lengths = state('lengths', [rows], new Uint32Array(rows).fill(seqLen));
  const routed = routingSize(layout?.routedExperts ?? 0);
  const routing = state('routing', [routed], new Float32Array(routed));
  const rec = new Recorder(model.variants, false);
  const x = decoder(rec, {
    config,
    weights,
    ids: state('ids', [tokens], Uint32Array.from(ids.flat())),
    span: {
      rows,
      seqLen,
      positions: state(
        'positions',
        [tokens],
        Uint32Array.from({ length: tokens }, (_, i) => i % seqLen),
      ),
    },
    tables: ropeConstants(ropeTables(config, seqLen), config.headDim),
    adapter: layout && adapterOf(layout, { state: routing, lengths, seqLen }),
  });
  const logits = tensor('logits', [tokens, config.vocab], { category: 'logits' });
  decoderLogits(rec, x, model, logits);
  try {
    const program = await Program.compile(rec, memory);
    program.replay();
    return await readF32(gpu, program.bufferOf(logits), 0, tokens * config.vocab);
  } finally {
    memory.destroy();
  }
}
