// The memory that a run's settings come to on the data that is there, counted without recording anything on the device.
import type { LoadedModel } from '../model/load.ts';
import type { Row } from '../train/batch.ts';
import { parseRunConfig, type RunConfigInput, searches, trains } from '../train/config.ts';
import { fitWithin, limitsOf, searchNeed, trainingNeed } from '../train/fit.ts';
import { shapesOf } from '../train/run-rows.ts';
import { isInputError } from '../util/error.ts';
import type { BillReport, StageBill } from './api.ts';
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
    if (searches(config)) add('search', fitWithin(searchNeed(model, config, shapesOf(rows, config, 'train')), limits));
    if (trains(config)) add('training', fitWithin(trainingNeed(model, config, shapesOf(rows, config)), limits));
    return { stages, problem: null };
  } catch (error) {
    if (!isInputError(error)) throw error;
    return { stages, problem: error.message };
  }
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
