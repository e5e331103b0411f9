// Generation with a key–value cache: one program reads the prompts, one adds a token to every row.
import type { AdapterLayout } from '../adapters/layout.ts';
import { adapterOf } from '../adapters/project.ts';
import { readBuffer, tooWide, writeBuffer } from '../gpu/buffers.ts';
import { packStep } from '../gpu/kernel.ts';
import { widest } from '../graph/plan.ts';
import { type PlacedProgram, Program, ProgramMemory, place } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { bytesOf, type Tensor, tensor } from '../graph/tensor.ts';
import { routingSize } from '../ops/adapter.ts';
import type { Cache } from '../ops/attention/attention.ts';
import { gatherRows } from '../ops/embed.ts';
import { nextToken, type Sampling } from '../ops/sample.ts';
import { InputError } from '../util/error.ts';
import { Random } from '../util/random.ts';
import { decoder, decoderLogits } from './decoder.ts';
import type { LoadedModel, SymbolicModel } from './load.ts';
import { ropeTables } from './rope.ts';

/** How answers are made. */
export interface GenerateOptions extends Partial<Sampling> {
  maxNewTokens: number;
  seed?: number;
  /** Tokens that end an answer; the one reached is its last id. */
  stopIds: readonly number[];
  /** Called with each new token, in order of rows within a position; a few may come at once. */
  onToken?: (row: number, id: number) => void;
  /** Called with the logits (rows, V) of every pass; tokens then come one at a time. */
  onLogits?: (logits: Float32Array) => void;
  signal?: AbortSignal;
}

interface Pass {
  program: Recorder;
  /** (rows·seqLen), u32: the tokens, and their positions. */
  ids: Tensor;
  positions: Tensor;
  /** Token of each row whose logits are wanted (rows), u32. */
  index: Tensor;
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
  /** Of the last pass (rows, V). */
  logits: Tensor;
  /** Temperature and top-p; uniform draws and sampled ids, each (AT_ONCE, rows). */
  sampling: Tensor;
  draws: Tensor;
  chosen: Tensor;
  capacity: number;
  /** Reads the prompts; adds a token to every row. Both sample the next token for `decode`. */
  prefill: Pass;
  decode: Pass;
}

/** How many tokens, and for how long, the device decodes before the host reads them back. */
const AT_ONCE = 16;
const MOST_TIME = 20; // ms

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
  const lengths = state('lengths', [rows]);
  const routing = state('routing', [routingSize(layout?.routedExperts ?? 0)], 'f32');
  const logits = state('logits', [rows, config.vocab], 'f32');
  const sampling = state('sampling', [2], 'f32');
  const draws = state('draws', [AT_ONCE, rows], 'f32');
  const chosen = state('chosen', [AT_ONCE, rows]);
  const data = ropeTables(config, capacity);
  const table = (name: 'cosines' | 'sines') =>
    state(name, [capacity, config.headDim / 2], 'f32', data[name]);
  const tables = { cosines: table('cosines'), sines: table('sines') };
  const shape = [rows, capacity, config.kvHeads * config.headDim];
  const caches = weights.layers.map((_, l): Cache => {
    const cache = (name: string) => tensor(`${name} ${l}`, shape, { kind: 'state' });
    return { keys: cache('keys'), values: cache('values') };
  });
  const inputs = (name: string, steps: number) => ({
    ids: state(`ids of ${name}`, [rows * steps]),
    positions: state(`positions of ${name}`, [rows * steps]),
    index: state(`index of ${name}`, [rows]),
  });
  const next = inputs('decode', 1);
  const record = (input: ReturnType<typeof inputs>, steps: number): Pass => {
    const rec = new Recorder(variants, false);
    const { ids, positions, index } = input;
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
    const { ids: nextIds, positions: nextPositions } = next;
    const to = { ids: nextIds, positions: nextPositions };
    nextToken(rec, { logits, sampling, draws, chosen, ...to }, capacity);
    return { program: rec, ...input, seqLen: steps };
  };
  const prefill = record(inputs('prefill', seqLen), seqLen);
  const decode = record(next, 1);
  const choosing = { logits, sampling, draws, chosen };
  return { layout, rows, caches, states, ...choosing, capacity, prefill, decode };
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
    const { layout, caches, states, logits, chosen, prefill, decode } = recorded;
    this.memory = new ProgramMemory(model.gpu, layout ? [layout.store] : []);
    this.memory.share(model.weights.all, model.memory);
    for (const t of states) this.memory.allocate(t, t === logits ? 'logits' : 'other');
    for (const t of caches.flatMap((c) => [c.keys, c.values])) this.memory.allocate(t, 'cache');
    this.placed = {
      prefill: place(prefill.program, this.memory),
      decode: place(decode.program, this.memory),
    };
    const { allocator } = this.memory;
    const largest = Math.max(bytesOf(logits), bytesOf(chosen));
    this.staging = allocator.create('logits', 'staging of logits', largest, 'staging');
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

  private write(t: Tensor, data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): void {
    writeBuffer(this.model.gpu, this.memory.get(t), data);
  }

  /** The last pass's logits. Waits for it. */
  private async readLogits(): Promise<Float32Array<ArrayBuffer>> {
    const logits = this.memory.get(this.recorded.logits);
    return new Float32Array(await this.read(logits));
  }

  private read(buffer: GPUBuffer): Promise<ArrayBuffer> {
    return readBuffer(this.model.gpu, buffer, 0, buffer.size, this.staging);
  }

  /** Replays a pass; `number` counts the tokens since the host last read them back. */
  private replay(pass: 'prefill' | 'decode', number: number): void {
    const { queue } = this.model.gpu.device;
    queue.writeBuffer(this.memory.step, 0, packStep({ number }));
    this.programs![pass].replay();
  }

  /** Writes the prompts and the positions where their answers start. */
  private begin(prompts: readonly ArrayLike<number>[], { temperature, topP }: Sampling): void {
    const { rows, prefill, decode, sampling } = this.recorded;
    const { seqLen } = prefill;
    const ids = new Uint32Array(rows * seqLen);
    prompts.forEach((p, r) => ids.set(Array.from(p), r * seqLen));
    const last = Uint32Array.from({ length: rows }, (_, r) => (prompts[r]?.length ?? 1) - 1);
    this.write(prefill.ids, ids);
    this.write(
      prefill.positions,
      ids.map((_, i) => i % seqLen),
    );
    this.write(
      prefill.index,
      last.map((at, r) => r * seqLen + at),
    );
    this.write(decode.positions, last);
    this.write(
      decode.index,
      last.map((_, r) => r),
    );
    this.write(sampling, Float32Array.of(temperature, topP));
  }

  /** Answers of at most `rows` prompts, as token ids. */
  async generate(
    prompts: readonly ArrayLike<number>[],
    options: GenerateOptions,
  ): Promise<number[][]> {
    const { maxNewTokens, seed = 1, stopIds, onToken, onLogits, signal } = options;
    const { rows, draws, chosen } = this.recorded;
    const answers: number[][] = prompts.map(() => []);
    const randoms = prompts.map((_, r) => new Random(seed, `sample row ${r}`));
    const open: boolean[] = Array.from({ length: rows }, (_, r) => r < prompts.length);
    this.begin(prompts, { temperature: options.temperature ?? 0, topP: options.topP ?? 1 });
    let done = 0;
    let next = 1; // tokens until the next readback
    while (done < maxNewTokens && open.includes(true) && !(done > 0 && signal?.aborted)) {
      const count = Math.min(next, maxNewTokens - done);
      const uniform = (i: number) => randoms[i % rows]?.uniform() ?? 0;
      this.write(
        draws,
        Float32Array.from({ length: count * rows }, (_, i) => uniform(i)),
      );
      const started = performance.now();
      for (let i = 0; i < count; i++) this.replay(done + i === 0 ? 'prefill' : 'decode', i);
      const ids = new Uint32Array(await this.read(this.memory.get(chosen)));
      const each = (performance.now() - started) / count;
      if (onLogits) onLogits(await this.readLogits());
      for (let i = 0; i < count * rows; i++) {
        const row = i % rows;
        if (!open[row]) continue;
        answers[row].push(ids[i]);
        onToken?.(row, ids[i]);
        open[row] = !stopIds.includes(ids[i]);
      }
      // Prefill time does not predict decode time.
      if (done > 0 && !onLogits)
        next = Math.max(1, Math.min(AT_ONCE, Math.floor(MOST_TIME / each)));
      done += count;
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
