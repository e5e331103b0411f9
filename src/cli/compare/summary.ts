// From single runs to the table: which runs there are, the learning rate that each method gets, its
// figures.
import type { Method, Plan } from './plan.ts';
import type { Result } from './results.ts';
import { type FoundAllocation, siteSizes } from './searches.ts';
import { agreement, spread } from './statistics.ts';
import { type Edge, type FoundRow, type MethodResults, type Table, tableRows } from './table.ts';

/** One run of a comparison. */
export interface Task {
  method: Method;
  stage: 'tune' | 'final';
  seed: number;
  learningRate: number;
}

/** What has been done so far. */
export interface Evidence {
  /** The result of a run, where it was done. */
  find(task: Task): Promise<Result | undefined>;
  /** What a method's search found with a seed, where it was done. */
  kept(method: Method, seed: number): Promise<FoundAllocation | null>;
}

/** The runs that choose a method's learning rate; none where there is but one. */
export function tuneTasks({ learningRates, tuneSeeds }: Plan, method: Method): Task[] {
  if (learningRates.length === 1) return [];
  return learningRates.flatMap((learningRate) =>
    tuneSeeds.map((seed) => ({ method, stage: 'tune' as const, seed, learningRate })),
  );
}

/**
 * The rate with the lowest mean validation loss of the tuning runs (of equals the lower one); null
 * while they are not all there.
 */
export async function choose(
  plan: Plan,
  evidence: Evidence,
  method: Method,
): Promise<{ rate: number; edge: Edge } | null> {
  const { learningRates } = plan;
  if (learningRates.length === 1) return { rate: learningRates[0], edge: null };
  const losses = new Map<number, number[]>(learningRates.map((rate) => [rate, []]));
  for (const task of tuneTasks(plan, method)) {
    const loss = (await evidence.find(task))?.validationLoss;
    if (loss === null || loss === undefined) return null;
    losses.get(task.learningRate)!.push(loss);
  }
  const means = learningRates.map((rate) => spread(losses.get(rate)!).mean);
  const best = means.indexOf(Math.min(...means));
  return {
    rate: learningRates[best],
    edge: best === 0 ? 'lowest' : best === learningRates.length - 1 ? 'highest' : null,
  };
}

/** The table of what has been done. */
export async function summarise(plan: Plan, evidence: Evidence): Promise<Table> {
  const all: MethodResults[] = [];
  const found: FoundRow[] = [];
  for (const method of plan.methods) {
    const chosen = await choose(plan, evidence, method);
    if (!chosen) continue;
    const { rate: learningRate, edge } = chosen;
    const results = await Promise.all(
      plan.seeds.map((seed) => evidence.find({ method, stage: 'final', seed, learningRate })),
    );
    all.push({
      name: method.name,
      learningRate,
      edge,
      results: results.filter((r) => r !== undefined),
    });
    if (!method.searches || method.shuffled) continue;
    const kept = await Promise.all(plan.seeds.map((seed) => evidence.kept(method, seed)));
    const there = kept.filter((f) => f !== null);
    if (there.length === 0) continue;
    const expected = there.map((f) => f.record.expectedParameters).filter((v) => v !== null);
    found.push({
      name: method.name,
      n: there.length,
      agreement: agreement(there.map((f) => siteSizes(f.allocation))),
      parameters: spread(there.map((f) => f.record.parameters)),
      expectedParameters: expected.length > 0 ? spread(expected) : null,
      closed: spread(
        there.map((f) => Object.values(f.allocation.experts).filter((n) => n === 0).length),
      ),
      seconds: spread(there.map((f) => f.record.seconds)),
    });
  }
  return { baseline: plan.baseline, methods: tableRows(all, plan.baseline), found };
}
