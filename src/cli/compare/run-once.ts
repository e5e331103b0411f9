// One run of a comparison: fresh adapter, training, evaluation; whatever it put on the device is
// freed.

import { countParameters } from '../../adapters/layout.ts';
import type { Allocation } from '../../allocation/allocation.ts';
import type { Example } from '../../data/dataset/example.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { TrainingConfig } from '../../settings/run-config.ts';
import type { RunControl } from '../../train/control.ts';
import { type Evaluation, evaluateExamples } from '../../train/evaluate.ts';
import { run } from '../../train/run.ts';
import type { TrainingStage } from '../../train/training.ts';

/** What one run needs. */
export interface RunOnce {
  model: LoadedModel;
  rows: readonly Example[];
  config: TrainingConfig;
  allocation: Allocation;
  /** Rows to be evaluated on at the end; null: none. */
  heldOut: { examples: readonly Example[]; tokenizer: Tokenizer | null } | null;
  control: RunControl;
  onStep(step: number, total: number, loss: number): void;
}

/** What came out. */
export interface Figures {
  parameters: number;
  steps: number;
  validationLoss: number | null;
  loss: number | null;
  exactMatch: number | null;
  /** Set-up with compiling, training with validation, held-out evaluation. */
  seconds: { prepare: number; train: number; evaluate: number };
}

/** Rows evaluated at a time. */
const EVALUATED = 32;

/** Trains and evaluates once. Null where `control` stopped it before the end. */
export async function runOnce({
  model,
  rows,
  config,
  allocation,
  heldOut,
  control,
  onStep,
}: RunOnce): Promise<Figures | null> {
  let validationLoss: number | null = null;
  let found: Evaluation | null = null;
  let stage: TrainingStage | null = null;
  const marks = [performance.now()];
  const mark = () => marks.push(performance.now());
  const alone = { ...config, search: false as const };
  try {
    for await (const event of run({ model, rows, config: alone, allocation, control })) {
      if (event.type === 'training-began') {
        stage = event.stage;
        mark();
      } else if (event.type === 'step') onStep(event.metrics.step, event.total, event.metrics.loss);
      else if (event.type === 'validation') validationLoss = event.metrics.validation_loss;
    }
    mark();
    if (!stage || control.stopped) return null;
    const { layout, steps } = stage;
    if (heldOut)
      found = await evaluateExamples(model, layout, heldOut.examples, heldOut.tokenizer, {
        microBatch: EVALUATED,
      });
    mark();
    if (control.stopped) return null;
    const [prepare, train, evaluate] = marks.slice(1).map((at, i) => (at - marks[i]) / 1000);
    return {
      parameters: countParameters(layout),
      steps,
      validationLoss,
      loss: found?.loss ?? null,
      exactMatch: found?.exactMatch ?? null,
      seconds: { prepare, train, evaluate },
    };
  } finally {
    stage?.layout.store.destroy();
  }
}
