// Generation with a key–value cache: one program reads the prompts, one adds a token to every row.
import type { AdapterLayout } from '../adapters/layout.ts';
import { adapterOf } from '../adapters/project.ts';
import { readBuffer, tooWide, writeBuffer } from '../gpu/buffers.ts';
import { widest } from '../graph/plan.ts';
import { type PlacedProgram, Program, ProgramMemory, place } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { bytesOf, type Tensor, tensor } from '../graph/tensor.ts';
import { routingSize } from '../ops/adapter.ts';
import type { Cache } from '../ops/attention/attention.ts';
import { gatherRows } from '../ops/embed.ts';
import { InputError } from '../util/error.ts';
import { Random } from '../util/random.ts';
import { decoder, decoderLogits } from './decoder.ts';
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

interface Pass {
  program: Recorder;
  /** (rows·seqLen), u32: the tokens, and their positions. */
  ids: Tensor;
  positions: Tensor;
  seqLen: number;
}

/** What generation records, symbolic. */
export interface Generation {
  layout: AdapterLayout | null;
  /** Prompts at a time. */
  rows: number;
  /** Keys and values of every layer. */
  caches: readonly Cache[];
  /** All further states. */
  states: readonly Tensor[];
  /** Token of each row whose logits are wanted (rows), u32; and those logits (rows, V). */
  index: Tensor;
  logits: Tensor;
  capacity: number;
  /** Reads prompts; adds a token to every row. */
  prefill: Pass;
  decode: Pass;
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
  const seqLen = round16(promptTokens);
  const capacity = round16(seqLen + newTokens);
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
  const caches = weights.layers.map((_, l): Cache => {
    const cache = (name: string) => tensor(`${name} ${l}`, shape, { kind: 'state' });
    return { keys: cache('keys'), values: cache('values') };
  });
  const record = (steps: number): Pass => {
    const rec = new Recorder(variants, false);
    const [ids, positions] = [
      state(`ids ${steps}`, [rows * steps]),
      state(`positions ${steps}`, [rows * steps]),
    ];
    const adapter =
      layout && adapterOf(layout, { state: routing, lengths, seqLen: steps }, { counted: false });
    const x = decoder(rec, {
      config,
      weights,
      ids,
      span: { rows, seqLen: steps, positions },
      tables,
      adapter,
      caches,
    });
    decoderLogits(rec, gatherRows(rec, x, index), { config, weights }, logits);
    return {
      program: rec,
      ids,
      positions,
      seqLen: steps,
    };
  };
  const [prefill, decode] = [record(seqLen), record(1)];
  return { layout, rows, caches, states, index, logits, capacity, prefill, decode };
}

/** Generates for up to `rows` prompts at a time; its programs are compiled once. */
export class Generator {
  private readonly memory: ProgramMemory;
  private readonly staging: GPUBuffer;
  private readonly placed: Record<'prefill' | 'decode', PlacedProgram>;
  private programs: Record<'prefill' | 'decode', Program> | null = null;

  /** Gives what was recorded all its buffers; `compile` makes it ready. */
  constructor(
    private readonly model: LoadedModel,
    private readonly recorded: Generation,
  ) {
    const { layout, caches, states, logits, prefill, decode } = recorded;
    this.memory = new ProgramMemory(model.gpu, layout ? [layout.store] : []);
    this.memory.share(model.weights.all, model.memory);
    for (const t of states) this.memory.allocate(t, t === logits ? 'logits' : 'other');
    for (const t of caches.flatMap((c) => [c.keys, c.values])) this.memory.allocate(t, 'cache');
    this.placed = {
      prefill: place(prefill.program, this.memory),
      decode: place(decode.program, this.memory),
    };
    const { allocator } = this.memory;
    this.staging = allocator.create('logits', 'staging of logits', bytesOf(logits), 'staging');
  }

  /** Compiles both programs. Where that fails, nothing stays on the device. */
  async compile(): Promise<this> {
    const { prefill, decode } = this.placed;
    try {
      this.programs = { prefill: await Program.of(prefill), decode: await Program.of(decode) };
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  private async run(
    pass: 'prefill' | 'decode',
    tokens: Uint32Array<ArrayBuffer>,
    start: (row: number) => number,
    last: (row: number) => number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { gpu } = this.model;
    const { ids, positions, seqLen } = this.recorded[pass];
    const { rows } = this.recorded;
    writeBuffer(gpu, this.memory.get(ids), tokens);
    const at = Uint32Array.from(
      { length: rows * seqLen },
      (_, i) => start(Math.floor(i / seqLen)) + (i % seqLen),
    );
    writeBuffer(gpu, this.memory.get(positions), at);
    writeBuffer(
      gpu,
      this.memory.get(this.recorded.index),
      Uint32Array.from({ length: rows }, (_, r) => r * seqLen + last(r)),
    );
    this.programs![pass].replay();
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
    const { rows, capacity, prefill } = this.recorded;
    const answers: number[][] = prompts.map(() => []);
    const randoms = prompts.map((_, r) => new Random(seed, `sample row ${r}`));
    const open = prompts.map(() => true);
    const ids = new Uint32Array(rows * prefill.seqLen);
    prompts.forEach((p, r) => ids.set(Array.from(p), r * prefill.seqLen));
    let logits = await this.run(
      'prefill',
      ids,
      () => 0,
      (r) => Math.max(0, (prompts[r]?.length ?? 1) - 1),
    );
    onLogits?.(logits);
    for (let n = 0; n < maxNewTokens; n++) {
      const next = new Uint32Array(rows);
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
      const start = (r: number) => Math.min(capacity - 1, (prompts[r]?.length ?? 0) + n);
      logits = await this.run('decode', next, start, () => 0);
      onLogits?.(logits);
    }
    return answers;
  }

  destroy(): void {
    this.memory.destroy();
  }
}

/**
 * Generation for as many prompts at a time, at most `rows`, as one binding holds the widest tensor
 * (logits, keys, an activation) of.
 * @throws InputError where it does not hold one prompt's, or prompt and answer exceed the context
 */
function recordWithin(
  model: LoadedModel,
  layout: AdapterLayout | null,
  rows: number,
  promptTokens: number,
  newTokens: number,
): Generation {
  const { maxBinding } = model.gpu;
  const { maxPositions } = model.config;
  if (promptTokens + newTokens > maxPositions)
    throw new InputError(
      'bad-option',
      `The prompt has ${promptTokens} tokens; with ${newTokens} new ones that is more than the model's context of ${maxPositions}.`,
    );
  const recorded = recordGeneration(model, layout, rows, promptTokens, newTokens);
  const { caches, logits, prefill } = recorded;
  const bytes = Math.max(
    bytesOf(logits),
    bytesOf(caches[0].keys),
    widest(prefill.program.commands),
  );
  if (bytes <= maxBinding) return recorded;
  if (rows === 1) throw tooWide(`A prompt of ${promptTokens} tokens`, bytes, model.gpu);
  const fewer = Math.max(1, Math.min(rows - 1, Math.floor((rows * maxBinding) / bytes)));
  return recordWithin(model, layout, fewer, promptTokens, newTokens);
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
  const most = Math.min(32, prompts.length);
  const recorded = recordWithin(model, layout, most, longest, options.maxNewTokens);
  const { rows } = recorded;
  const generator = await new Generator(model, recorded).compile();
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
