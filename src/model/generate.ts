// Generation with a key–value cache: one program reads the prompts, one adds a token to every row.
import type { AdapterLayout } from '../adapters/layout.ts';
import { bufferOf, createBuffer, createStaging, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import { Memory, Program } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { gatherRows } from '../ops/embed.ts';
import { InputError } from '../util/error.ts';
import { Random } from '../util/random.ts';
import { decoder, decoderLogits, type LayerCache } from './decoder.ts';
import type { LoadedModel } from './load.ts';
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
  signal?: AbortSignal;
}

interface Pass {
  program: Program;
  ids: Tensor;
  time: number;
}

const round16 = (n: number): number => Math.ceil(n / 16) * 16;

/** Generates for up to `rows` prompts at a time; its programs are compiled once. */
export class Generator {
  private constructor(
    private readonly model: LoadedModel,
    private readonly memory: Memory,
    private readonly rows: number,
    private readonly capacity: number,
    private readonly start: Tensor,
    private readonly index: Tensor,
    private readonly logits: Tensor,
    private readonly prefill: Pass,
    private readonly decode: Pass,
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
    const time = round16(promptTokens);
    const capacity = round16(time + newTokens);
    const memory = new Memory(gpu, layout ? [layout.store] : []);
    for (const t of weights.all) memory.share(t, model.memory.get(t));
    const state = (name: string, shape: number[], dtype: 'u32' | 'f32' = 'u32') => {
      const t = tensor(name, shape, { kind: 'state', dtype });
      memory.bind(t, createBuffer(gpu, name, shape.reduce((a, b) => a * b, 1) * 4));
      return t;
    };
    const [start, index, lengths] = [state('start', [rows]), state('index', [rows]), state('lengths', [rows])];
    const routing = state('routing', [2 * (layout?.routedExperts ?? 0) + 1], 'f32');
    const logits = state('logits', [rows, config.vocab], 'f32');
    const width = config.kvHeads * config.headDim;
    const caches: LayerCache[] = weights.layers.map((_, l) => ({
      keys: state(`keys ${l}`, [rows, capacity, width], 'f32'),
      values: state(`values ${l}`, [rows, capacity, width], 'f32'),
    }));
    const data = ropeTables(config, capacity);
    const [cosines, sines] = (['cosines', 'sines'] as const).map((name) => {
      const t = tensor(name, [capacity, config.headDim / 2], { kind: 'state' });
      memory.bind(t, bufferOf(gpu, name, data[name]));
      return t;
    });
    const record = async (steps: number): Promise<Pass> => {
      const rec = new Recorder(model.variants, false);
      const ids = state(`ids ${steps}`, [rows * steps]);
      const adapter = layout && {
        layout,
        context: { store: layout.store, lengths, routing, routedExperts: layout.routedExperts, time: steps, dropout: false },
      };
      const x = decoder(rec, { config, weights, ids, span: { rows, time: steps, start }, tables: { cosines, sines }, adapter, caches });
      decoderLogits(rec, gatherRows(rec, x, index), model, logits);
      return { program: await Program.compile(rec, memory), ids, time: steps };
    };
    return new Generator(
      model,
      memory,
      rows,
      capacity,
      start,
      index,
      logits,
      await record(time),
      await record(1),
      createStaging(gpu, rows * config.vocab * 4),
    );
  }

  private async run(
    { program, ids, time }: Pass,
    tokens: Uint32Array<ArrayBuffer>,
    start: Uint32Array<ArrayBuffer>,
    last: (row: number) => number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { gpu } = this.model;
    writeBuffer(gpu, this.memory.get(ids), tokens);
    writeBuffer(gpu, this.memory.get(this.start), start);
    writeBuffer(
      gpu,
      this.memory.get(this.index),
      Uint32Array.from({ length: this.rows }, (_, r) => r * time + last(r)),
    );
    program.replay();
    const logits = this.memory.get(this.logits);
    return new Float32Array(await readBuffer(gpu, logits, 0, logits.size, this.staging));
  }

  /** Answers of at most `rows` prompts, as token ids. */
  async generate(prompts: readonly ArrayLike<number>[], options: GenerateOptions): Promise<number[][]> {
    const { maxNewTokens, temperature = 0, topP = 1, seed = 1, stopIds, onToken, signal } = options;
    const { vocab } = this.model.config;
    const { time } = this.prefill;
    const answers: number[][] = prompts.map(() => []);
    const randoms = prompts.map((_, r) => new Random(seed, `sample row ${r}`));
    const open = prompts.map(() => true);
    const ids = new Uint32Array(this.rows * time);
    prompts.forEach((p, r) => ids.set(Array.from(p), r * time));
    let logits = await this.run(this.prefill, ids, new Uint32Array(this.rows), (r) => Math.max(0, (prompts[r]?.length ?? 1) - 1));
    for (let n = 0; n < maxNewTokens; n++) {
      const next = new Uint32Array(this.rows);
      prompts.forEach((_, r) => {
        if (!open[r]) return;
        next[r] = sample(logits.subarray(r * vocab, (r + 1) * vocab), { temperature, topP }, randoms[r]);
        answers[r].push(next[r]);
        onToken?.(r, next[r]);
        open[r] = !stopIds.includes(next[r]);
      });
      if (signal?.aborted || !open.includes(true) || n + 1 === maxNewTokens) break;
      const start = Uint32Array.from({ length: this.rows }, (_, r) => Math.min(this.capacity - 1, (prompts[r]?.length ?? 0) + n));
      logits = await this.run(this.decode, next, start, () => 0);
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

/** Answers to any number of prompts, at most 32 at a time. */
export async function generate(
  model: LoadedModel,
  layout: AdapterLayout | null,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
): Promise<number[][]> {
  const longest = Math.max(...prompts.map((p) => p.length));
  if (!(longest > 0) || prompts.some((p) => p.length === 0)) throw new InputError('bad-option', 'A prompt has no tokens.');
  const rows = Math.min(32, prompts.length);
  const generator = await Generator.create(model, layout, rows, longest, options.maxNewTokens);
  try {
    const answers: number[][] = [];
    for (let at = 0; at < prompts.length && !options.signal?.aborted; at += rows) {
      answers.push(
        ...(await generator.generate(prompts.slice(at, at + rows), { ...options, onToken: (r, id) => options.onToken?.(at + r, id) })),
      );
    }
    return answers;
  } finally {
    generator.destroy();
  }
}
