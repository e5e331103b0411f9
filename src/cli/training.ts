// A training run as commands do it: progress on stderr, files in the run's folder, Ctrl-C.
import { RunControl } from '../train/control.ts';
import { type RunInput, Session } from '../train/session.ts';
import type { Context } from './command.ts';
import type { RunFolder } from './outputs.ts';
import { duration } from './progress.ts';

/** Trains to the end or until Ctrl-C, and writes the run's files where there is a folder for them. The adapter stays on the device. */
export async function trainRun(
  { io, progress }: Context,
  input: RunInput,
  folder: RunFolder | null,
  configFolder: string,
): Promise<{ session: Session; stopped: boolean }> {
  const control = new RunControl();
  let tokens = 0;
  const session = await Session.create({
    ...input,
    control,
    hooks: {
      onProgress: (task, done, total) => progress.update(task, done, total),
      onStep: (m, total) => {
        folder?.log(m);
        tokens += m.tokens;
        const speed = Math.round(tokens / m.seconds);
        progress.update('Training: step', m.step, total, `loss ${m.loss.toFixed(4)} · ${speed} tokens/s`);
      },
      onValidation: (m) => {
        folder?.log(m);
        progress.note(`Step ${m.step}: validation loss ${m.validation_loss.toFixed(4)}`);
      },
    },
  });
  folder?.begin(input.config, configFolder, session.steps, input.model, session.layout);
  const release = io.onInterrupt(() => {
    progress.note('Stopping after this step; what was trained is kept. Ctrl-C again quits at once.');
    control.stop();
  });
  const started = performance.now();
  try {
    await session.run();
    if (folder) folder.save(session.layout, await session.values(), input.model.name);
  } finally {
    release();
    folder?.close();
  }
  const stopped = control.stopped && session.done < session.steps;
  const took = duration((performance.now() - started) / 1000);
  progress.note(`${stopped ? `Stopped after ${session.done} of` : 'Trained'} ${session.steps} steps in ${took}`);
  if (folder) progress.note(`Written: ${folder.path}/adapter, config.json and metrics.jsonl`);
  return { session, stopped };
}
