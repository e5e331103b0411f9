// Estimates the GPU memory of a run for the loaded dataset, without allocating anything.

import { SHAPES } from '../../bench/shapes.ts';
import type { Gpu } from '../../gpu/device.ts';
import { imagined } from '../../gpu/variants.ts';
import { bytesOf } from '../../graph/tensor.ts';
import { parseModelConfig } from '../../model/config.ts';
import type { LoadedModel, SymbolicModel } from '../../model/load.ts';
import { symbolicWeights } from '../../model/weights.ts';
import {
  parseRunConfig,
  type RunConfigInput,
  searches,
  trains,
} from '../../settings/run-config.ts';
import type { Row } from '../../train/batch.ts';
import { assessFit, fitWithin, limitsOf } from '../../train/memory/fit.ts';
import { searchRequest, trainingRequest } from '../../train/memory/request.ts';
import { searchShapes, shapesFor, trainingShapes } from '../../train/run-rows.ts';
import { problemOf } from '../../util/error.ts';
import type { CandidateModel, MemoryReport, ShapeVerdict, StageMemory } from '../protocol/api.ts';
import type { TrainingData } from '../protocol/data-port.ts';
import { rowsOf } from './rows.ts';

/**
 * The stages of a run with the memory of each, chosen as the run itself will choose. What cannot be
 * is the report's `problem`.
 */
export function estimateRun(
  model: LoadedModel,
  rows: readonly Row[],
  input: RunConfigInput,
): MemoryReport {
  const stages: StageMemory[] = [];
  try {
    const config = parseRunConfig(input, 'settings');
    const limits = limitsOf(model.gpu, config);
    const add = (
      stage: StageMemory['stage'],
      { estimate, microBatch, recompute, logitsChunkRows }: ReturnType<typeof fitWithin>,
    ) =>
      stages.push({
        stage,
        bytes: estimate.bytes,
        total: estimate.total,
        microBatch,
        recompute,
        logitsChunkRows,
      });
    if (searches(config))
      add('search', fitWithin(searchRequest(model, config, searchShapes(rows, config)), limits));
    if (trains(config))
      add(
        'training',
        fitWithin(trainingRequest(model, config, trainingShapes(rows, config)), limits),
      );
    return { stages, problem: null };
  } catch (error) {
    return { stages, problem: problemOf(error) };
  }
}

/**
 * Whether a run with these settings fits a model, its rows as long as data.maxLength and all of
 * them trained: as it is set, with smaller settings, or not at all; or why it could not be loaded.
 * The stage that needs most decides.
 * @param what name of one of `SHAPES`, in 16 bits, or a model's config.json
 */
export function assessModel(
  gpu: Gpu,
  what: string | CandidateModel,
  input: RunConfigInput,
): ShapeVerdict {
  const config = parseRunConfig(input, 'settings');
  const limits = limitsOf(gpu, config);
  let model: SymbolicModel;
  try {
    model = symbolicModel(what, limits.maxBinding);
  } catch (error) {
    return { verdict: 'refused', problem: problemOf(error) };
  }
  const full = (rows: number, seqLen: number) => {
    const ids = new Int32Array(seqLen).fill(1);
    const all = Array<Row>(rows).fill({ ids, labels: ids });
    return shapesFor(all, [all], rows);
  };
  const requests = [
    searches(config) && searchRequest(model, config, full),
    trains(config) && trainingRequest(model, config, full),
  ];
  const found = requests
    .filter((request) => request !== false)
    .map((request) => assessFit(request, limits));
  const worst =
    found.find((f) => f.verdict === 'does-not-fit') ?? found.find((f) => f.verdict === 'tight');
  return (
    worst ?? {
      verdict: 'fits',
      bytes: Math.max(...found.map((f) => (f.verdict === 'fits' ? f.bytes : 0))),
    }
  );
}

/**
 * A model as it will be loaded. Its dtype is guessed from the size of its files: f32 if that is
 * nearer to 4 bytes a weight than to 2.
 */
function symbolicModel(what: string | CandidateModel, maxBinding: number): SymbolicModel {
  const where = typeof what === 'string' ? what : `${what.name}/config.json`;
  const config = typeof what === 'string' ? SHAPES[what] : parseModelConfig(what.config, where);
  const weights = (dtype: 'bf16' | 'f32') => symbolicWeights(config, () => dtype, maxBinding);
  const half = weights('bf16');
  const isHalf =
    typeof what === 'string' || what.bytes < 1.5 * half.all.reduce((sum, t) => sum + bytesOf(t), 0);
  return {
    config,
    weights: isHalf ? half : weights('f32'),
    variants: imagined(),
  };
}

/** Estimates memory; takes the rows from the data worker once for each dataset. */
export class MemoryEstimator {
  #known: { reading: number; rows: Row[] } | null = null;

  constructor(private readonly data: { examples(): Promise<TrainingData> }) {}

  /** @param reading number of the reading that the data comes from: another one means other rows */
  async estimate(
    model: LoadedModel,
    input: RunConfigInput,
    reading: number,
  ): Promise<MemoryReport> {
    if (this.#known?.reading !== reading) {
      const rows = rowsOf(await this.data.examples(), Number.POSITIVE_INFINITY);
      this.#known = { reading, rows };
    }
    return estimateRun(model, this.#known.rows, input);
  }
}
