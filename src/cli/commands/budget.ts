// budget: the GPU memory of a run by category before anything is loaded, and what is chosen to fit
// a number of bytes.

import { layoutAdapter } from '../../adapters/layout.ts';
import { siteDims } from '../../allocation/allocation.ts';
import { randomModel } from '../../bench/step.ts';
import { categories } from '../../gpu/allocator.ts';
import { tooWide } from '../../gpu/buffers.ts';
import { imagined } from '../../gpu/variants.ts';
import type { LoadedModel, SymbolicModel } from '../../model/load.ts';
import { resolveAllocation, trainedAdapter } from '../../settings/resolve-allocation.ts';
import {
  type RunConfig,
  searches,
  type TrainingConfig,
  trains,
} from '../../settings/run-config.ts';
import { DEFAULT_MEMORY_OPTIONS, type MemoryOptions, type Row } from '../../train/batch.ts';
import { estimateGeneration, type MemoryEstimate } from '../../train/memory/estimate.ts';
import { fitWithin, mebibytes } from '../../train/memory/fit.ts';
import { type MemoryRequest, searchRequest, trainingRequest } from '../../train/memory/request.ts';
import { POLICIES } from '../../train/programs.ts';
import { searchShapes, trainingShapes } from '../../train/run-rows.ts';
import { Runtime } from '../../train/runtime.ts';
import { InputError } from '../../util/error.ts';
import { type Context, command } from '../command.ts';
import {
  type CheckedModel,
  checkBatches,
  kernelsOf,
  openData,
  openModel,
  readAllocation,
  readRunConfig,
  shared,
  symbolicModel,
  withValidation,
} from '../inputs.ts';
import { choice, flag, required, texts, whole } from '../options.ts';

/** One binding at most where no GPU is asked: what the engine asks of any. */
const LARGEST_BINDING = 2 ** 31;

/** A memory estimate and the options behind it; `bill` and `chunk` are keys of --json. */
interface Column {
  name: string;
  microBatch: number;
  recompute: MemoryOptions['recompute'];
  /** logitsChunkRows */
  chunk: number;
  /** Share of padding in what micro-batches compute. */
  padding: number;
  bill: MemoryEstimate;
  measured?: number;
}

/** Rows of one length that all carry loss: enough for a batch of either level. */
function rowsOf(length: number, { train, search }: RunConfig, vocab: number): Row[] {
  const ids = Array.from({ length }, (_, t) => (t * 7919) % vocab);
  const count = 2 * Math.max(train ? train.batch : 0, search ? 2 * search.microBatch : 0);
  return Array.from({ length: count }, () => ({ ids, labels: ids }));
}

/** Bytes that the device is asked for by a training of this shape. */
async function measure(
  model: LoadedModel,
  config: TrainingConfig,
  rows: readonly Row[],
  at: Column,
  before: number,
): Promise<number> {
  const { gpu } = model;
  gpu.created.peak = gpu.created.held;
  const uniform = { ...config, allocation: 'uniform' as const };
  const allocation = resolveAllocation(uniform, model.config);
  const layout = layoutAdapter(
    trainedAdapter(uniform, allocation),
    model.config.layers,
    siteDims(model.config),
  );
  layout.store.allocate(gpu);
  const shape = trainingShapes(rows, config)(at.microBatch, config.data.maxLength);
  const runtime = await Runtime.create(model, layout, shape, {
    dropout: config.adapter.dropout > 0,
    memoryOptions: { recompute: at.recompute, logitsChunkRows: at.chunk },
  });
  await layout.store.read(gpu, 'value');
  runtime.destroy();
  layout.store.destroy();
  return gpu.created.peak - before;
}

function table(stage: string, columns: readonly Column[]): string {
  const cell = (text: string) => text.padStart(14);
  const line = (name: string, of: (c: Column) => string) =>
    `${name.padEnd(16)}${columns.map((c) => cell(of(c))).join('')}`;
  return [
    line(stage, (c) => c.name),
    line('micro-batch', (c) => String(c.microBatch)),
    line('recomputed', (c) => c.recompute),
    line('rows of logits', (c) => String(c.chunk)),
    line('padding', (c) => `${(100 * c.padding).toFixed(1)} %`),
    ...categories.map((key) => line(key, (c) => mebibytes(c.bill.bytes[key]))),
    line('total', (c) => mebibytes(c.bill.total)),
    ...(columns.some((c) => c.measured !== undefined)
      ? [line('measured', (c) => (c.measured ? mebibytes(c.measured) : ''))]
      : []),
    line('largest buffer', (c) => mebibytes(c.bill.largest.bytes)),
  ].join('\n');
}

/** The settings with the command line's. */
async function settingsOf(
  config: string | undefined,
  length: number | undefined,
  bytes: number | undefined,
): Promise<RunConfig> {
  const settings = await readRunConfig(config);
  const { maxLength } = settings.data;
  return {
    ...settings,
    data: { ...settings.data, maxLength: length ?? maxLength },
    memory: bytes ?? settings.memory,
  };
}

/** The settings without those of data files by name, where there is no data. */
const ofNoFiles = (settings: RunConfig): RunConfig => {
  const { validation } = settings.data;
  return {
    ...settings,
    data: {
      ...settings.data,
      weights: {},
      validation: typeof validation === 'number' ? validation : 0,
    },
  };
};

/** The policies as they are set, one of them, or what the limits leave. */
function columnsOf(
  request: MemoryRequest,
  memory: number | null,
  maxBinding: number,
  recompute: MemoryOptions['recompute'] | undefined,
): Column[] {
  const column = (name: string, options?: MemoryOptions): Column => {
    const { recording, ...chosen } = fitWithin(request, { memory, maxBinding }, options);
    const { estimate: bill, logitsChunkRows: chunk, ...rest } = chosen;
    return { name, ...rest, chunk, padding: recording.shapes.padding, bill };
  };
  const policies = (recompute ? [recompute] : POLICIES).map((policy) =>
    column(policy, { ...DEFAULT_MEMORY_OPTIONS, recompute: policy }),
  );
  return recompute ? policies : [...policies, column('chosen')];
}

export const budget = command({
  name: 'budget',
  summary: 'estimate the GPU memory of a run, and find what makes it fit',
  details: `Counts every buffer that search and training would create, for each kind of recomputation and for the settings chosen. Recomputation and rows of logits at a time never change a result; a smaller micro-batch is chosen only for training, and only if nothing else is enough. If the run does not fit, the message names settings that do, and the exit code is 2. No GPU is opened without --measure.`,
  options: {
    model: required(shared.shape),
    config: shared.config,
    data: texts(
      'FILE',
      'datasets of the run; without them, rows of --length tokens that all carry loss',
    ),
    validation: shared.validation,
    length: whole('tokens per row, instead of data.maxLength', 2, 1_000_000),
    bytes: whole(
      'bytes that search and training may each use, instead of memory in run.json',
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    binding: whole(
      "bytes that one binding may hold (the GPU's maxStorageBufferBindingSize); 2 GiB by default",
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    answer: whole(
      'also estimate answers of up to N tokens to one prompt of --length tokens',
      1,
      1_000_000,
    ),
    recompute: choice(POLICIES, 'use this recomputation instead of choosing one'),
    measure: flag(
      'also set up training on this GPU and count its bytes; a shape gets random weights',
    ),
    kernels: shared.kernels,
    json: flag('one line of JSON'),
  },
  run: async (o, context) => {
    const settings = await settingsOf(o.config, o.length, o.bytes);
    const { config, paths } =
      o.data.length > 0
        ? withValidation(settings, o.data, o.validation)
        : { config: ofNoFiles(settings), paths: [] };
    const binding = o.binding ?? LARGEST_BINDING;
    const { checked, model } = await symbolicModel(o.model, imagined(), binding);
    if (o.data.length === 0 && o.validation.length > 0)
      throw new InputError('bad-option', '--validation needs --data.');
    if (paths.length > 0 && !checked)
      throw new InputError(
        'bad-option',
        '--data needs a model folder or file: a shape has no tokenizer.',
      );
    const rows =
      paths.length > 0 && checked
        ? (await openData(context, checked, paths, config.data)).dataset.examples
        : rowsOf(config.data.maxLength, config, model.config.vocab);
    if (paths.length > 0) checkBatches(rows, config);
    const stages: { stage: string; columns: Column[] }[] = [];
    if (searches(config)) {
      const request = searchRequest(model, config, searchShapes(rows, config));
      stages.push({
        stage: 'search',
        columns: columnsOf(request, config.memory, binding, o.recompute),
      });
    }
    if (trains(config)) {
      const given =
        typeof config.allocation === 'string'
          ? undefined
          : await readAllocation(config, o.config, model.config);
      const request = trainingRequest(model, config, trainingShapes(rows, config), given);
      const columns = columnsOf(request, config.memory, binding, o.recompute);
      if (o.measure)
        await measureAll(context, { checked, model, config, rows, kernels: o.kernels }, columns);
      stages.push({ stage: 'training', columns });
    }
    if (o.answer !== undefined) {
      const bill = estimateGeneration(model, null, 1, config.data.maxLength, o.answer);
      stages.push({
        stage: 'answers',
        columns: [
          { name: `of ${o.answer}`, microBatch: 1, recompute: 'none', chunk: 1, padding: 0, bill },
        ],
      });
    }
    context.progress.clear();
    context.io.out(
      o.json
        ? `${JSON.stringify({ stages })}\n`
        : `${stages.map((s) => table(s.stage, s.columns)).join('\n\n')}\n`,
    );
    return 0;
  },
});

async function measureAll(
  context: Context,
  {
    checked,
    model,
    config,
    rows,
    kernels,
  }: {
    checked: CheckedModel | null;
    model: SymbolicModel;
    config: TrainingConfig;
    rows: readonly Row[];
    kernels: string | undefined;
  },
  columns: Column[],
): Promise<void> {
  if (typeof config.allocation !== 'string' || !['uniform', 'search'].includes(config.allocation))
    throw new InputError('bad-option', '--measure needs a uniform allocation.');
  const gpu = await context.io.openGpu();
  const before = gpu.created.held;
  const loaded = checked
    ? await openModel(context, checked, kernels)
    : await randomModel(gpu, model.config, await kernelsOf(gpu, kernels), 'bf16');
  for (const { bill } of columns)
    if (bill.largest.bytes > gpu.maxBinding)
      throw tooWide(bill.largest.name, bill.largest.bytes, gpu);
  for (const column of columns)
    column.measured = await measure(loaded, config, rows, column, before);
}
