// Loading a model for the page, stage by stage: reading, uploading, compiling the kernels that
// answers run, and a first pass through them.
import type { Folder } from '../../data/source.ts';
import { hasTokenizer, loadTokenizer, type Tokenizer } from '../../data/text/tokenizer.ts';
import { idle } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import { type Kernel, kernelKey } from '../../gpu/kernel.ts';
import { pipelineOf } from '../../gpu/pipelines.ts';
import { generate, recordGeneration } from '../../model/generate.ts';
import { type LoadedModel, loadModel, type SymbolicModel } from '../../model/load.ts';
import { InputError } from '../../util/error.ts';
import type { LoadingStage, TaskUnit } from '../../util/task.ts';
import type { EventSender } from '../protocol/events.ts';
import { browserChoices } from './choices.ts';
import { timeLeft } from './speed.ts';

/** Prompts of up to this many tokens find their kernels compiled; longer ones may need one more. */
const longestPrompt = 256;
/** Kernels that are compiled at once, so that a cancelled loading leaves few behind. */
const atOnce = 4;

type ReportProgress = (done: number, total: number) => void;

/**
 * Loads a model with its tokenizer, where it has one, and tells each stage's progress.
 * @param open gives the model's files
 * @throws InputError for what cannot be taken, and the signal's reason when it is aborted; what was
 *   on the device is freed then
 */
export async function loadInStages(
  gpu: Gpu,
  open: () => Promise<Folder>,
  events: Pick<EventSender, 'send' | 'flush'>,
  signal: AbortSignal,
): Promise<{ model: LoadedModel; tokenizer: Tokenizer | null }> {
  const stage = (task: LoadingStage, unit: TaskUnit): ReportProgress => {
    let started = 0;
    return (done, total) => {
      signal.throwIfAborted();
      if (done === 0) started = performance.now();
      events.send({
        type: 'progress',
        task,
        done,
        total,
        unit,
        secondsLeft: unit === 'bytes' ? timeLeft(started, done, total) : null,
      });
      if (done === 0) events.flush(); // each stage is seen, however short
    };
  };
  const reading = stage('reading', 'parts');
  reading(0, 3);
  const folder = await open();
  reading(1, 3);
  const tokenizer = (await hasTokenizer(folder)) ? await loadTokenizer(folder) : null;
  reading(2, 3);
  const model = await loadModel(gpu, folder, {
    choices: browserChoices,
    onProgress: stage('uploading', 'bytes'),
  });
  try {
    await compile(gpu, answerKernels(model), stage('compiling', 'kernels'));
    await warmUp(model, stage('warm-up', 'passes'), signal);
    return { model, tokenizer };
  } catch (error) {
    model.memory.destroy();
    throw error;
  }
}

/**
 * The kernels of answers to one prompt by the base model, each once. Products choose theirs by the
 * number of tokens, in a few steps: prompts whose length doubles meet all of them.
 */
export function answerKernels(model: SymbolicModel): Kernel[] {
  const kernels = new Map<string, Kernel>();
  const longest = Math.min(longestPrompt, model.config.maxPositions);
  for (let tokens = 16; ; tokens *= 2) {
    const { prefill, decode } = recordGeneration(model, null, 1, Math.min(tokens, longest), 1);
    for (const c of [...prefill.program.commands, ...decode.program.commands])
      if (c.type === 'dispatch') kernels.set(kernelKey(c.kernel), c.kernel);
    if (tokens >= longest) return [...kernels.values()];
  }
}

async function compile(
  gpu: Gpu,
  kernels: readonly Kernel[],
  report: ReportProgress,
): Promise<void> {
  const waiting = [...kernels];
  let done = 0;
  report(done, kernels.length);
  const work = async () => {
    for (let kernel = waiting.shift(); kernel; kernel = waiting.shift()) {
      await idle(pipelineOf(gpu, kernel));
      report(++done, kernels.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    waiting.length = 0; // after a failure no other begins
  }
}

/**
 * Reads one token and adds one, as an answer does.
 * @throws InputError('bad-model') where that gives numbers that are not finite
 */
async function warmUp(
  model: LoadedModel,
  report: ReportProgress,
  signal: AbortSignal,
): Promise<void> {
  const { bosId, vocab, maxPositions } = model.config;
  const newTokens = Math.min(2, maxPositions - 1);
  const passes = Math.max(1, newTokens);
  let done = 0;
  report(done, passes);
  const onLogits = (logits: Float32Array) => {
    if (!logits.every(Number.isFinite))
      throw new InputError(
        'bad-model',
        `${model.name}: a first forward pass gives numbers that are not finite. The weights are damaged, or do not belong to the configuration.`,
      );
    report(++done, passes);
  };
  const start = bosId !== null && bosId < vocab ? bosId : 0;
  await generate(model, null, [[start]], {
    maxNewTokens: newTokens,
    stopIds: [],
    signal,
    onLogits,
  });
  signal.throwIfAborted();
}
