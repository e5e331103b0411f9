// A run as commands do it: search and training, progress on stderr, files in the run's folder,
// Ctrl-C.
import { siteCost } from '../adapters/methods/methods.ts';
import { type Allocation, parameterCount, siteDims } from '../allocation/allocation.ts';
import { allocationFiles, gsvLine, SEARCH_FILES, searchStateFile } from '../files/search-files.ts';
import { resolveAllocation } from '../settings/resolve-allocation.ts';
import { type RunConfig, searches, trains } from '../settings/run-config.ts';
import { RunControl } from '../train/control.ts';
import { mebibytes } from '../train/memory/fit.ts';
import { namedVectors } from '../train/search/layout.ts';
import { type SearchInput, SearchSession } from '../train/search/session.ts';
import { searchSites } from '../train/search/values.ts';
import { type RunInput, Session } from '../train/session.ts';
import type { Context } from './command.ts';
import type { RunFolder } from './outputs.ts';
import { duration } from './progress.ts';

const METRICS = 'metrics.jsonl';

/** Does `work` with a control that Ctrl-C stops. */
async function interruptible<T>(
  { io, progress }: Context,
  what: string,
  work: (control: RunControl) => Promise<T>,
): Promise<T> {
  const control = new RunControl();
  const release = io.onInterrupt(() => {
    progress.note(`Stopping after this step; ${what} is kept. Ctrl-C again quits at once.`);
    control.stop();
  });
  try {
    return await work(control);
  } finally {
    release();
  }
}

/**
 * Trains to the end or until Ctrl-C, and writes the run's files where there is a folder for them.
 * The adapter stays on the device.
 */
export async function trainRun(
  context: Context,
  input: RunInput,
  folder: RunFolder | null,
): Promise<{ session: Session; stopped: boolean; seconds: number }> {
  const { progress } = context;
  const started = performance.now();
  return interruptible(context, 'what was trained', async (control) => {
    let tokens = 0;
    const session = await Session.create({
      ...input,
      control,
      hooks: {
        onProgress: (task, done, total) => progress.update(task, done, total),
        onStep: (m, total) => {
          folder?.log(METRICS, JSON.stringify(m));
          tokens += m.tokens;
          const speed = Math.round(tokens / m.seconds);
          progress.update(
            'Training: step',
            m.step,
            total,
            `loss ${m.loss.toFixed(4)} · ${speed} tokens/s`,
          );
        },
        onValidation: (m) => {
          folder?.log(METRICS, JSON.stringify(m));
          progress.note(`Step ${m.step}: validation loss ${m.validation_loss.toFixed(4)}`);
        },
      },
    });
    const { choice, layout, steps } = session;
    folder?.describe({ config: input.config, steps, layout, choice });
    if (input.config.memory !== null)
      progress.note(
        `Memory: ${mebibytes(choice.bill.total)} with micro-batch ${choice.microBatch}, recomputation "${choice.recompute}", ${choice.chunk} rows of logits at a time`,
      );
    await session.run();
    folder?.save(session.layout, await session.values(), input.model.name);
    const stopped = control.stopped && session.done < session.steps;
    const seconds = (performance.now() - started) / 1000;
    progress.note(
      `${stopped ? `Stopped after ${session.done} of` : 'Trained'} ${session.steps} steps in ${duration(seconds)}`,
    );
    return { session, stopped, seconds };
  });
}

/** What a search found, by its GSVs as they stood at its end. */
export interface Found {
  allocation: Allocation;
  steps: number;
  stopped: boolean;
  seconds: number;
}

/**
 * Searches to the end or until Ctrl-C, writes the search's files where there is a folder for them,
 * and frees the search.
 */
export async function searchRun(
  context: Context,
  input: SearchInput,
  folder: RunFolder | null,
): Promise<Found> {
  const { progress } = context;
  const started = performance.now();
  return interruptible(context, 'the allocation found so far', async (control) => {
    let tell: (step: number, loss: number | null, values: Float32Array) => void = () => undefined;
    const session = await SearchSession.create({
      ...input,
      control,
      hooks: {
        onProgress: (task, done, total) => progress.update(task, done, total),
        onLower: (m) => folder?.log(METRICS, JSON.stringify(m)),
        onUpper: (m, values, total) => {
          tell(m?.step ?? 0, m?.upper_loss ?? null, values);
          if (m)
            progress.update(
              'Searching: step',
              m.step,
              total,
              `upper loss ${m.upper_loss.toFixed(4)}`,
            );
        },
      },
    });
    try {
      const { layout, steps } = session;
      const vectors = namedVectors(layout).upper;
      tell = (step, loss, values) =>
        folder?.log(SEARCH_FILES.history, gsvLine(vectors, step, loss, values));
      await session.run();
      const allocation = await session.selection();
      for (const [name, contents] of Object.entries(allocationFiles(allocation)))
        folder?.write(name, contents);
      folder?.write(SEARCH_FILES.state, searchStateFile(layout, await session.state()));
      const stopped = control.stopped && session.done < steps;
      const seconds = (performance.now() - started) / 1000;
      const experts = Object.values(allocation.experts).reduce((a, b) => a + b, 0);
      progress.note(
        `${stopped ? `Stopped after ${session.done} of` : 'Searched'} ${steps} steps in ${duration(seconds)}: ${experts} experts in ${searchSites(layout).length} linears, ${parameterCount(allocation, siteCost(input.config.adapter.method, siteDims(input.model.config)))} parameters`,
      );
      return { allocation, steps: session.done, stopped, seconds };
    } finally {
      session.destroy();
    }
  });
}

/** Where the stages of a run start, where not from the seed. */
export interface Start {
  search?: SearchInput['init'];
  train?: RunInput['init'];
}

/**
 * Search, allocation, training: those stages that the settings ask for. Without a search the
 * allocation is given.
 */
export async function wholeRun(
  context: Context,
  { model, rows, config }: Pick<RunInput, 'model' | 'rows'> & { config: RunConfig },
  given: Allocation | null,
  folder: RunFolder | null,
  start: Start = {},
): Promise<{ found: Found | null; session: Session | null; stopped: boolean }> {
  try {
    const found = searches(config)
      ? await searchRun(context, { model, rows, config, init: start.search }, folder)
      : null;
    if (found?.stopped || !trains(config))
      return { found, session: null, stopped: found?.stopped ?? false };
    const allocation = found
      ? resolveAllocation(config, model.config, found.allocation)
      : (given ?? undefined);
    const { session, stopped } = await trainRun(
      context,
      { model, rows, config, allocation, init: start.train },
      folder,
    );
    return { found, session, stopped };
  } finally {
    folder?.close();
  }
}
