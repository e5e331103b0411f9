// One run of a comparison: fresh adapter, training, evaluation; whatever it put on the device is
// freed.

import { countParameters } from '../../adapters/layout.ts';
import type { Allocation } from '../../allocation/allocation.ts';
import type { Example } from '../../data/dataset/example.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { TrainingConfig } from '../../settings/run-config.ts';
import type { RunControl } from '../../train/control.ts';
import { evaluateExamples } from '../../train/evaluate.ts';
import { Session } from '../../train/session.ts';

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
  const marks = [performance.now()];
  const since = () => {
    marks.push(performance.now());
    return (marks[marks.length - 1] - marks[marks.length - 2]) / 1000;
  };
  const session = await Session.create({
    model,
    rows,
    config,
    allocation,
    control,
    hooks: {
      onStep: (m, total) => onStep(m.step, total, m.loss),
      onValidation: (m) => {
        validationLoss = m.validation_loss;
      },
    },
  });
  try {
    const prepare = since();
    await session.run();
    const train = since();
    const { steps, layout } = session;
    const found =
      heldOut && !control.stopped
        ? await evaluateExamples(model, layout, heldOut.examples, heldOut.tokenizer, {
            microBatch: EVALUATED,
          })
        : null;
    const evaluate = since();
    if (control.stopped) return null;
    return {
      parameters: countParameters(layout),
      steps,
      validationLoss,
      loss: found?.loss ?? null,
      exactMatch: found?.exactMatch ?? null,
      seconds: { prepare, train, evaluate },
    };
  } finally {
    session.destroy();
  }
}
