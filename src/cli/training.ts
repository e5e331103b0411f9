// A run as commands do it: progress on stderr, files in the run's folder, Ctrl-C.
import { countParameters } from '../adapters/layout.ts';
import { siteCost } from '../adapters/methods/methods.ts';
import { type Allocation, parameterCount, siteDims } from '../allocation/allocation.ts';
import { allocationFiles, gsvLine, SEARCH_FILES, searchStateFile } from '../files/search-files.ts';
import { hasOneRank, resolveAllocation } from '../settings/resolve-allocation.ts';
import { trains } from '../settings/run-config.ts';
import { RunControl } from '../train/control.ts';
import { mebibytes } from '../train/memory/fit.ts';
import { type RunEvent, type RunInput, run } from '../train/run.ts';
import { namedVectors } from '../train/search/layout.ts';
import type { SearchStage } from '../train/search/stage.ts';
import type { TrainingStage } from '../train/training.ts';
import { taskInWords } from '../util/task.ts';
import type { Context } from './command.ts';
import type { RunFolder } from './outputs.ts';
import { duration } from './progress.ts';

const METRICS = 'metrics.jsonl';

/** What came of a run. */
export interface Outcome {
  /** Upper steps of the search; null without one. */
  searchSteps: number | null;
  /** The training, its adapter still on the device; null where none came to its end. */
  training: TrainingStage | null;
  /** Ctrl-C ended it before its end. */
  stopped: boolean;
}

/**
 * Goes through a run to its end or until Ctrl-C, and writes its files where there is a folder for
 * them. What was found or trained until then is kept.
 */
export async function wholeRun(
  context: Context,
  input: Omit<RunInput, 'control' | 'review'>,
  folder: RunFolder | null,
): Promise<Outcome> {
  const { config, model } = input;
  const control = new RunControl();
  const log = new RunLog(context, input, folder, control);
  const release = context.io.onInterrupt(() => {
    context.progress.note(
      `Stopping after this step; ${log.kept} is kept. Ctrl-C again quits at once.`,
    );
    control.stop();
  });
  const review = (found: Allocation, error?: unknown) => {
    if (error) throw error;
    return control.stopped || !trains(config)
      ? null
      : resolveAllocation(config, model.config, found);
  };
  try {
    for await (const event of run({ ...input, control, review })) await log.on(event);
    const { outcome } = log;
    outcome.stopped ||= control.stopped && trains(config) && !outcome.training;
    return outcome;
  } finally {
    release();
    folder?.close();
  }
}

/** What a run's events do to terminal and files. */
class RunLog {
  readonly outcome: Outcome = { searchSteps: null, training: null, stopped: false };
  /** What Ctrl-C leaves of the stage. */
  kept = 'what was trained';
  private started = performance.now();
  private tokens = 0;
  private vectors: Parameters<typeof gsvLine>[0] = [];

  constructor(
    private readonly context: Context,
    private readonly input: Omit<RunInput, 'control' | 'review'>,
    private readonly folder: RunFolder | null,
    private readonly control: RunControl,
  ) {}

  async on(event: RunEvent): Promise<void> {
    const { folder } = this;
    const { progress } = this.context;
    switch (event.type) {
      case 'phase':
        if (event.phase === 'compiling') this.started = performance.now();
        break;
      case 'progress':
        progress.update(taskInWords[event.task], event.done, event.total);
        break;
      case 'search-began':
        this.kept = 'the allocation found so far';
        this.vectors = namedVectors(event.stage.layout).upper;
        break;
      case 'upper': {
        const { metrics, values, total } = event;
        const [step, loss] = metrics ? [metrics.step, metrics.upper_loss] : [0, null];
        folder?.log(SEARCH_FILES.history, gsvLine(this.vectors, step, loss, values));
        if (loss !== null)
          progress.update('Searching: step', step, total, `upper loss ${loss.toFixed(4)}`);
        break;
      }
      case 'found':
        await this.found(event.stage, event.allocation);
        break;
      case 'training-began':
        this.kept = 'what was trained';
        this.began(event.stage);
        break;
      case 'step': {
        const { metrics: m, total } = event;
        folder?.log(METRICS, JSON.stringify(m));
        if (m.stage === 'search') break;
        this.tokens += m.tokens;
        const speed = Math.round(this.tokens / m.seconds);
        const what = `loss ${m.loss.toFixed(4)} · ${speed} tokens/s`;
        progress.update('Training: step', m.step, total, what);
        break;
      }
      case 'validation': {
        const { step, validation_loss: loss } = event.metrics;
        folder?.log(METRICS, JSON.stringify(event.metrics));
        progress.note(`Step ${step}: validation loss ${loss.toFixed(4)}`);
        break;
      }
      case 'trained':
        folder?.save(event.stage.layout, await event.stage.values(), this.input.model.name);
        this.over(event.stage, 'Trained');
        this.outcome.training = event.stage;
    }
  }

  private async found(stage: SearchStage, allocation: Allocation): Promise<void> {
    const { folder } = this;
    for (const [name, contents] of Object.entries(
      allocationFiles(stage.layout.adapter.method.sizes, allocation),
    ))
      folder?.write(name, contents);
    folder?.write(SEARCH_FILES.state, searchStateFile(stage.layout, await stage.values()));
    const { method } = stage.layout.adapter;
    const cost = siteCost(method.name, siteDims(this.input.model.config));
    const sum = (numbers: Record<string, number>) =>
      Object.values(numbers).reduce((a, b) => a + b, 0);
    const { experts, ranks } = allocation;
    const counted =
      method.sizes === 'experts' ? `${sum(experts)} experts` : `a total rank of ${sum(ranks)}`;
    this.over(
      stage,
      'Searched',
      `: ${counted} in ${Object.keys(experts).length} linears, ${parameterCount(allocation, cost)} parameters`,
    );
    this.outcome.searchSteps = stage.done;
  }

  private began({ config, choice, layout, steps }: TrainingStage): void {
    this.folder?.describe({ config, steps, layout, choice });
    if (config.adapter.parameters !== null && hasOneRank(config))
      this.context.progress.note(
        `Rank ${layout.spec.rank}, ${countParameters(layout)} parameters: the nearest to adapter.parameters ${config.adapter.parameters}`,
      );
    if (config.memory !== null)
      this.context.progress.note(
        `Memory: ${mebibytes(choice.estimate.total)} with micro-batch ${choice.microBatch}, recomputation "${choice.recompute}", ${choice.logitsChunkRows} rows of logits at a time`,
      );
  }

  private over({ done, steps }: SearchStage | TrainingStage, did: string, what = ''): void {
    this.outcome.stopped = this.control.stopped && done < steps;
    const seconds = (performance.now() - this.started) / 1000;
    this.context.progress.note(
      `${this.outcome.stopped ? `Stopped after ${done} of` : did} ${steps} steps in ${duration(seconds)}${what}`,
    );
  }
}
