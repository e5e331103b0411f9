// The searches of a comparison: one a method and seed, whose allocation is kept in files and used
// by all of its runs.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { allocationLimits, siteCost } from '../../adapters/methods/methods.ts';
import {
  type Allocation,
  parameterCount,
  siteDims,
  siteRanks,
} from '../../allocation/allocation.ts';
import { allocationJson, parseAllocation } from '../../allocation/files.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { SearchConfig } from '../../settings/run-config.ts';
import type { Row } from '../../train/batch.ts';
import type { RunControl } from '../../train/control.ts';
import { run } from '../../train/run.ts';
import type { UpperMetrics } from '../../train/stage.ts';
import { InputError } from '../../util/error.ts';
import { readJson } from '../inputs.ts';

const record = z.strictObject({
  hash: z.string().describe('Hash of everything that determines the search: settings, data, model'),
  seed: z.number(),
  steps: z.number(),
  seconds: z.number(),
  parameters: z
    .number()
    .describe('Parameters of the allocation as found, before it is scaled to adapter.parameters'),
  upperLoss: z.number(),
  lambda: z.number(),
  expectedParameters: z
    .number()
    .nullable()
    .describe('From the final GSVs; null where the estimator has no distribution of sizes'),
  device: z.string(),
  kernels: z.record(z.string(), z.unknown()),
});

/** What is kept of a search besides its allocation. */
export type SearchRecord = z.output<typeof record>;

/** What a search found. */
export interface FoundAllocation {
  allocation: Allocation;
  record: SearchRecord;
}

/** Where a search's files lie and what it is. */
export interface SearchKey {
  /** The method's name in file names. */
  slug: string;
  seed: number;
  hash: string;
}

/** Searches kept in a folder. */
export class SearchFolder {
  constructor(
    private readonly folder: string,
    private readonly model: LoadedModel,
  ) {}

  private path({ slug, seed }: SearchKey, what: 'expert' | 'rank' | 'search'): string {
    return join(this.folder, `${slug}-${seed}-${what}.json`);
  }

  /**
   * What a search with these settings found before; null where there is none.
   * @throws InputError where its files are damaged
   */
  async read(key: SearchKey, { adapter }: SearchConfig): Promise<FoundAllocation | null> {
    const path = this.path(key, 'search');
    if (!existsSync(path)) return null;
    const read = record.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    if (!read.success)
      throw new InputError(
        'bad-data',
        `${path} is not a record of a search; delete it to repeat the search.`,
      );
    if (read.data.hash !== key.hash) return null;
    const files = { experts: this.path(key, 'expert'), ranks: this.path(key, 'rank') };
    const limits = allocationLimits(adapter, this.model.config.layers, files);
    const json = {
      experts:
        limits.sizes === 'experts' ? await readJson(files.experts, 'bad-adapter') : undefined,
      ranks: await readJson(files.ranks, 'bad-adapter'),
    };
    return { allocation: parseAllocation(json, limits), record: read.data };
  }

  /**
   * Searches, and keeps what was found; the record is written last. Null where `control` stopped it
   * before the end.
   */
  async search(
    key: SearchKey,
    rows: readonly Row[],
    config: SearchConfig,
    control: RunControl,
    onStep: (step: number, total: number, loss: number) => void,
  ): Promise<FoundAllocation | null> {
    const started = performance.now();
    const { model } = this;
    let last: UpperMetrics | null = null;
    for await (const event of run({ model, rows, config: { ...config, train: false }, control })) {
      if (event.type === 'upper' && event.metrics) {
        last = event.metrics;
        onStep(last.step, event.total, last.upper_loss);
      }
      if (event.type !== 'found' || control.stopped || !last) continue;
      const { stage, allocation } = event;
      const cost = siteCost(config.adapter.method, siteDims(model.config));
      const found: SearchRecord = {
        hash: key.hash,
        seed: key.seed,
        steps: stage.steps,
        seconds: (performance.now() - started) / 1000,
        parameters: parameterCount(allocation, cost),
        upperLoss: last.upper_loss,
        lambda: last.lambda,
        expectedParameters:
          config.search.estimator === 'paper'
            ? null
            : last.share * parameterCount(stage.layout.adapter.spec.allocation, cost),
        device: model.gpu.name,
        kernels: { ...model.variants.names },
      };
      mkdirSync(this.folder, { recursive: true });
      const { experts, ranks } = allocationJson(stage.layout.adapter.method.sizes, allocation);
      const contents = { ...(experts !== undefined && { expert: experts }), rank: ranks };
      for (const [what, json] of Object.entries({ ...contents, search: found }))
        writeFileSync(
          this.path(key, what as keyof typeof contents | 'search'),
          `${JSON.stringify(json, null, 2)}\n`,
        );
      return { allocation, record: found };
    }
    return null;
  }
}

/** Total rank of every site: what a search says about where parameters belong. */
export const siteSizes = (allocation: Allocation): number[] =>
  Object.keys(allocation.experts).map((path) =>
    siteRanks(allocation, path).reduce((a, r) => a + r, 0),
  );
