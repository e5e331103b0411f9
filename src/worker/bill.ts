// The memory that a run's settings come to on the data that is there, counted without recording anything on the device.
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel, SymbolicModel } from '../model/load.ts';
import { SHAPES } from '../model/shapes.ts';
import { symbolicWeights } from '../model/weights.ts';
import type { Row } from '../train/batch.ts';
import { parseRunConfig, type RunConfigInput, searches, trains } from '../train/config.ts';
import { fitWithin, judge, limitsOf, searchNeed, trainingNeed } from '../train/fit.ts';
import { searchShapes, shapeOf, trainingShapes } from '../train/run-rows.ts';
import { isInputError } from '../util/error.ts';
import type { BillReport, ShapeVerdict, StageBill } from './api.ts';
import type { HandOver } from './hand-over.ts';
import { rowsOf } from './rows.ts';

/** The stages of a run with the memory of each, chosen as the run itself will choose. What cannot be is the report's `problem`. */
export function billOf(model: LoadedModel, rows: readonly Row[], input: RunConfigInput): BillReport {
  const stages: StageBill[] = [];
  try {
    const config = parseRunConfig(input, 'settings');
    const limits = limitsOf(model.gpu, config);
    const add = (stage: StageBill['stage'], { bill, microBatch, recompute, chunk }: ReturnType<typeof fitWithin>) =>
      stages.push({ stage, bytes: bill.bytes, total: bill.total, microBatch, recompute, chunk });
    if (searches(config)) add('search', fitWithin(searchNeed(model, config, searchShapes(rows, config)), limits));
    if (trains(config)) add('training', fitWithin(trainingNeed(model, config, trainingShapes(rows, config)), limits));
    return { stages, problem: null };
  } catch (error) {
    if (!isInputError(error)) throw error;
    return { stages, problem: error.message };
  }
}

/**
 * Whether a run with these settings fits a model of `SHAPES` in 16 bits, its rows as long as data.maxLength and all of them trained: as it is
 * set, with smaller settings, or not at all. The stage that needs most decides.
 */
export function judgeShape(gpu: Gpu, shape: string, input: RunConfigInput): ShapeVerdict {
  const config = parseRunConfig(input, 'settings');
  const limits = limitsOf(gpu, config);
  const weights = symbolicWeights(SHAPES[shape], () => 'bf16', limits.maxBinding);
  const model: SymbolicModel = { config: SHAPES[shape], weights, variants: { product: 'register', rows: 'thread' } };
  const full = (rows: number, time: number) => {
    const ids = new Int32Array(time).fill(1);
    return shapeOf(Array<Row>(rows).fill({ ids, labels: ids }), rows);
  };
  const needs = [searches(config) && searchNeed(model, config, full), trains(config) && trainingNeed(model, config, full)];
  const found = needs.filter((need) => need !== false).map((need) => judge(need, limits));
  const worst = found.find((f) => f.verdict === 'no') ?? found.find((f) => f.verdict === 'tight');
  return worst ?? { verdict: 'fits', bytes: Math.max(...found.map((f) => (f.verdict === 'fits' ? f.bytes : 0))) };
}

/** Counts bills; takes the rows from the data worker once for each dataset. */
export class Biller {
  #known: { reading: number; rows: Row[] } | null = null;

  constructor(private readonly data: { examples(): Promise<HandOver> }) {}

  /** @param reading number of the reading that the data comes from: another one means other rows */
  async bill(model: LoadedModel, input: RunConfigInput, reading: number): Promise<BillReport> {
    if (this.#known?.reading !== reading) {
      const rows = rowsOf(await this.data.examples(), Number.POSITIVE_INFINITY);
      this.#known = { reading, rows };
    }
    return billOf(model, this.#known.rows, input);
  }
}
