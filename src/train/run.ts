// A whole run as events: the search, the review of what it found, the training. Workers post them,
// the command line logs them, a comparison folds them.
import type { Allocation } from '../allocation/allocation.ts';
import type { LoadedModel } from '../model/load.ts';
import { resolveAllocation } from '../settings/resolve-allocation.ts';
import { type RunConfig, searches, trains } from '../settings/run-config.ts';
import type { Row } from './batch.ts';
import { RunControl } from './control.ts';
import { type SearchInput, SearchStage } from './search/stage.ts';
import type { Stage, StageEvent } from './stage.ts';
import { type TrainingInput, TrainingStage } from './training.ts';

/**
 * What a run reports. `found`: a search is over, its stage still on the device until the next event
 * is asked for. From `training-began` on the adapter is the listener's, who frees `layout.store`.
 */
export type RunEvent =
  | StageEvent
  | { type: 'search-began'; stage: SearchStage }
  | { type: 'found'; stage: SearchStage; allocation: Allocation }
  | { type: 'training-began'; stage: TrainingStage }
  | { type: 'trained'; stage: TrainingStage };

/** Everything that a run starts from. */
export interface RunInput {
  model: LoadedModel;
  rows: readonly Row[];
  config: RunConfig;
  /** Of a run without a search; by default what config comes to, which then names no files. */
  allocation?: Allocation;
  /** Where the stages start, where not from the seed. */
  init?: { search?: SearchInput['init']; train?: TrainingInput['init'] };
  /** Pauses the run, or stops the stage it is in; a stopped search is reviewed all the same. */
  control?: RunControl;
  /**
   * Answers a search with the allocation to train with, or with null to end the run; by default
   * with what was found, of adapter.parameters. Asked again, with the error, where no training could
   * begin; to throw it ends the run.
   */
  review?: (found: Allocation, error?: unknown) => Allocation | null | Promise<Allocation | null>;
}

/**
 * Goes through the stages that the settings ask for. A listener that leaves stops the run.
 * @throws InputError for settings or data that cannot be used; Error where a stage fails
 */
export async function* run(input: RunInput): AsyncGenerator<RunEvent, void> {
  const { model, rows, config, init = {}, control = new RunControl() } = input;
  const { review = reviewer(input) } = input;
  const events = new EventQueue<StageEvent>();
  const shared = { model, rows, control, emit: events.emit };
  let found: Allocation | null = null;
  if (searches(config))
    yield* going(
      SearchStage.create({ ...shared, config, init: init.search }),
      events,
      control,
      (stage) => ({ type: 'search-began', stage }),
      async (stage) => {
        found = await stage.selection();
        return { type: 'found', stage, allocation: found };
      },
    );
  for (let error: unknown; ; ) {
    const allocation = found ? await review(found, error) : input.allocation;
    if (allocation === null || !trains(config)) return;
    if (found) control.begin();
    let began = false;
    try {
      yield* going(
        TrainingStage.create({ ...shared, config, allocation, init: init.train }),
        events,
        control,
        (stage) => {
          began = true;
          return { type: 'training-began', stage };
        },
        (stage) => ({ type: 'trained', stage }),
      );
      return;
    } catch (thrown) {
      if (began || !found) throw thrown;
      error = thrown;
    }
  }
}

/** Trains with what was found, of adapter.parameters. */
const reviewer =
  ({ model, config }: RunInput): NonNullable<RunInput['review']> =>
  (found, error) => {
    if (error) throw error;
    return trains(config) ? resolveAllocation(config, model.config, found) : null;
  };

/**
 * Runs a stage that is being created, and frees it when it is over, whether it ended, failed, or
 * its listener left. The parameters of a training that was announced stay.
 */
async function* going<S extends Stage>(
  creating: Promise<S>,
  events: EventQueue<StageEvent>,
  control: RunControl,
  began: (stage: S) => RunEvent,
  over: (stage: S) => RunEvent | Promise<RunEvent>,
): AsyncGenerator<RunEvent, void> {
  let work: Promise<unknown> = creating;
  let announced = false;
  let working = true;
  try {
    const stage = yield* events.during(creating);
    announced = true;
    yield began(stage);
    work = stage.run();
    yield* events.during(work);
    working = false;
    yield await over(stage);
  } finally {
    if (working) control.stop();
    await work.catch(() => undefined);
    const stage = await creating.catch(() => null);
    stage?.destroy(announced && stage instanceof TrainingStage);
  }
}

/** Events on their way from a stage to whoever iterates. */
class EventQueue<E> {
  #waiting: E[] = [];
  #wake: () => void = () => undefined;

  readonly emit = (event: E): void => {
    this.#waiting.push(event);
    this.#wake();
  };

  /** Yields what is emitted while `work` goes on; returns what that comes to. */
  async *during<T>(work: Promise<T>): AsyncGenerator<E, T> {
    let pending = true;
    const settled = () => {
      pending = false;
      this.#wake();
    };
    work.then(settled, settled);
    while (pending || this.#waiting.length > 0) {
      yield* this.#waiting.splice(0);
      if (!pending || this.#waiting.length > 0) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return work;
  }
}
