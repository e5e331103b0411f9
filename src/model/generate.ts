// Generation with a key–value cache: one program reads the prompts, one adds a token to every row.
import type { AdapterLayout } from '../adapters/layout.ts';
import { adapterOf } from '../adapters/project.ts';
import { createStaging, readBuffer, tooWide, writeBuffer } from '../gpu/buffers.ts';
import { widest } from '../graph/plan.ts';
import { Memory, Program } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { bytesOf, type Tensor, tensor } from '../graph/tensor.ts';
import { routingSize } from '../ops/adapter.ts';
import { gatherRows } from '../ops/embed.ts';
import { InputError } from '../util/error.ts';
import { Random } from '../util/random.ts';
import { decoder, decoderLogits, type LayerCache } from './decoder.ts';
import type { LoadedModel, SymbolicModel } from './load.ts';
import { ropeTables } from './rope.ts';
import { sample } from './sampler.ts';

/** How answers are made. */
export interface GenerateOptions {
  maxNewTokens: number;
  /** 0, the default, is greedy. */
  temperature?: number;
  topP?: number;
  seed?: number;
  /** Tokens that end an answer; the one reached is its last id. */
  stopIds: readonly number[];
  /** Called with each new token, in order of rows within a position. */
  onToken?: (row: number, id: number) => void;
  /** Called with the logits (rows, V) of every pass before tokens are chosen by them. */
  onLogits?: (logits: Float32Array) => void;
  signal?: AbortSignal;
}

interface Pass<P> {
  program: P;
  /** (rows·time), u32: the tokens, and their positions. */
  ids: Tensor;
  positions: Tensor;
  time: number;
}

/** What generation records, symbolic. */
export interface Generation {
  /** Keys and values of every layer. */
  caches: readonly LayerCache[];
  /** All further states. */
  states: readonly Tensor[];
  /** Token of each row whose logits are wanted (rows), u32; and those logits (rows, V). */
  index: Tensor;
  logits: Tensor;
  capacity: number;
  /** Reads prompts; adds a token to every row. */
  prefill: Pass<Recorder>;
  decode: Pass<Recorder>;
}

const round16 = (n: number): number => Math.ceil(n / 16) * 16;

/**
 * Records generation for `rows` prompts at a time of at most `promptTokens`, and answers of at most
 * `newTokens`. Needs no GPU.
 */
export function recordGeneration(
  { config, weights, variants }: SymbolicModel,
  layout: AdapterLayout | null,
  rows: number,
  promptTokens: number,
  newTokens: number,
): Generation {
  const time = round16(promptTokens);
  const capacity = round16(time + newTokens);
  const states: Tensor[] = [];
  const state = (
    name: string,
    shape: number[],
    dtype: 'u32' | 'f32' = 'u32',
    data?: Tensor['data'],
  ) => {
    const t = tensor(name, shape, { kind: 'state', dtype, data });
    states.push(t);
    return t;
  };
  const [index, lengths] = [state('index', [rows]), state('lengths', [rows])];
  const routing = state('routing', [routingSize(layout?.routedExperts ?? 0)], 'f32');
  const logits = state('logits', [rows, config.vocab], 'f32');
  const data = ropeTables(config, capacity);
  const table = (name: 'cosines' | 'sines') =>
    state(name, [capacity, config.headDim / 2], 'f32', data[name]);
  const tables = { cosines: table('cosines'), sines: table('sines') };
  const shape = [rows, capacity, config.kvHeads * config.headDim];
  const caches = weights.layers.map((_, l): LayerCache => {
    const cache = (name: string) => tensor(`${name} ${l}`, shape, { kind: 'state' });
    return { keys: cache('keys'), values: cache('values') };
  });
  const record = (steps: number): Pass<Recorder> => {
    const rec = new Recorder(variants, false);
    const [ids, positions] = [
      state(`ids ${steps}`, [rows * steps]),
      state(`positions ${steps}`, [rows * steps]),
    ];
    const adapter =
      layout && adapterOf(layout, { state: routing, lengths, time: steps }, { counted: false });
    const x = decoder(rec, {
      config,
      weights,
      ids,
      span: { rows, time: steps, positions },
      tables,
      adapter,
      caches,
    });
    decoderLogits(rec, gatherRows(rec, x, index), { config, weights }, logits);
    return { program: rec, ids, positions, time: steps };
  };
  return { caches, states, index, logits, capacity, prefill: record(time), decode: record(1) };
}

/** Generates for up to `rows` prompts at a time; its programs are compiled once. */
export class Generator {
  private constructor(
    private readonly model: LoadedModel,
    private readonly memory: Memory,
    private readonly rows: number,
    private readonly recorded: Generation,
    private readonly prefill: Pass<Program>,
    private readonly decode: Pass<Program>,
    private readonly staging: GPUBuffer,
  ) {}

  /**
   * @param rows prompts at a time
   * @param promptTokens the longest prompt
   * @param newTokens the longest answer
   * @throws InputError where prompt and answer exceed the model's context
   */
  static async create(
    model: LoadedModel,
    layout: AdapterLayout | null,
    rows: number,
    promptTokens: number,
    newTokens: number,
  ): Promise<Generator> {
    const { config, weights, gpu } = model;
    if (promptTokens + newTokens > config.maxPositions) {
      throw new InputError(
        'bad-option',
        `The prompt has ${promptTokens} tokens; with ${newTokens} new ones that is more than the model's context of ${config.maxPositions}.`,
      );
    }
    const memory = new Memory(gpu, layout ? [layout.store] : []);
    for (const t of weights.all) memory.share(t, model.memory.get(t));
    const recorded = recordGeneration(model, layout, rows, promptTokens, newTokens);
    for (const t of [...recorded.states, ...recorded.caches.flatMap((c) => [c.keys, c.values])])
      memory.allocate(t);
    const compile = async (pass: Pass<Recorder>) => ({
      ...pass,
      program: await Program.compile(pass.program, memory),
    });
    const [prefill, decode] = [await compile(recorded.prefill), await compile(recorded.decode)];
    return new Generator(
      model,
      memory,
      rows,
      recorded,
      prefill,
      decode,
      createStaging(gpu, bytesOf(recorded.logits)),
    );
  }

  private async run(
    { program, ids, positions, time }: Pass<Program>,
    tokens: Uint32Array<ArrayBuffer>,
    start: (row: number) => number,
    last: (row: number) => number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { gpu } = this.model;
    writeBuffer(gpu, this.memory.get(ids), tokens);
    const at = Uint32Array.from(
      { length: this.rows * time },
      (_, i) => start(Math.floor(i / time)) + (i % time),
    );
    writeBuffer(gpu, this.memory.get(positions), at);
    writeBuffer(
      gpu,
      this.memory.get(this.recorded.index),
      Uint32Array.from({ length: this.rows }, (_, r) => r * time + last(r)),
    );
    program.replay();
    const logits = this.memory.get(this.recorded.logits);
    return new Float32Array(await readBuffer(gpu, logits, 0, logits.size, this.staging));
  }

  /** Answers of at most `rows` prompts, as token ids. */
  async generate(
    prompts: readonly ArrayLike<number>[],
    options: GenerateOptions,
  ): Promise<number[][]> {
    const {
      maxNewTokens,
      temperature = 0,
      topP = 1,
      seed = 1,
      stopIds,
      onToken,
      onLogits,
      signal,
    } = options;
    const { vocab } = this.model.config;
    const { time } = this.prefill;
    const answers: number[][] = prompts.map(() => []);
    const randoms = prompts.map((_, r) => new Random(seed, `sample row ${r}`));
    const open = prompts.map(() => true);
    const ids = new Uint32Array(this.rows * time);
    prompts.forEach((p, r) => ids.set(Array.from(p), r * time));
    let logits = await this.run(
      this.prefill,
      ids,
      () => 0,
      (r) => Math.max(0, (prompts[r]?.length ?? 1) - 1),
    );
    onLogits?.(logits);
    for (let n = 0; n < maxNewTokens; n++) {
      const next = new Uint32Array(this.rows);
      prompts.forEach((_, r) => {
        if (!open[r]) return;
        next[r] = sample(
          logits.subarray(r * vocab, (r + 1) * vocab),
          { temperature, topP },
          randoms[r],
        );
        answers[r].push(next[r]);
        onToken?.(r, next[r]);
        open[r] = !stopIds.includes(next[r]);
      });
      if (signal?.aborted || !open.includes(true) || n + 1 === maxNewTokens) break;
      const start = (r: number) =>
        Math.min(this.recorded.capacity - 1, (prompts[r]?.length ?? 0) + n);
      logits = await this.run(this.decode, next, start, () => 0);
      onLogits?.(logits);
    }
    return answers;
  }

  destroy(): void {
    this.prefill.program.destroy();
    this.decode.program.destroy();
    this.memory.destroy();
    this.staging.destroy();
  }
}

/**
 * Prompts at a time whose widest tensor (logits, keys, an activation) one binding holds.
 * @throws InputError where not even one does
 */
function rowsWithin(
  model: LoadedModel,
  layout: AdapterLayout | null,
  promptTokens: number,
  newTokens: number,
): number {
  const { caches, logits, prefill } = recordGeneration(model, layout, 1, promptTokens, newTokens);
  const bytes = Math.max(
    bytesOf(logits),
    bytesOf(caches[0].keys),
    widest(prefill.program.commands),
  );
  if (bytes > model.gpu.maxBinding)
    throw tooWide(`A prompt of ${promptTokens} tokens`, bytes, model.gpu);
  return Math.floor(model.gpu.maxBinding / bytes);
}

/**
 * Answers to any number of prompts, at most 32 at a time and no more than the GPU's bindings hold.
 */
export async function generate(
  model: LoadedModel,
  layout: AdapterLayout | null,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
): Promise<number[][]> {
  const longest = Math.max(...prompts.map((p) => p.length));
  if (!(longest > 0) || prompts.some((p) => p.length === 0))
    throw new InputError('bad-option', 'A prompt has no tokens.');
  const rows = Math.min(
    32,
    prompts.length,
    rowsWithin(model, layout, longest, options.maxNewTokens),
  );
  const generator = await Generator.create(model, layout, rows, longest, options.maxNewTokens);
  try {
    const answers: number[][] = [];
    for (let at = 0; at < prompts.length && !options.signal?.aborted; at += rows) {
      answers.push(
        ...(await generator.generate(prompts.slice(at, at + rows), {
          ...options,
          onToken: (r, id) => options.onToken?.(at + r, id),
        })),
      );
    }
    return answers;
  } finally {
    generator.destroy();
  }
}
