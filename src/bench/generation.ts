// Measurements of answers: reading a prompt, and adding a token to it.
import type { Clock } from '../graph/clock.ts';
import { Program, ProgramMemory, place } from '../graph/program.ts';
import { recordGeneration } from '../model/generate.ts';
import type { LoadedModel } from '../model/load.ts';

/** Tokens of the prompt, and room for the answer. */
const PROMPT = 512;
const ANSWER = 128;

/**
 * Times one pass of an answer to a prompt of 512 tokens: reading it, or adding a token, without
 * choosing it.
 */
export async function timeGeneration(
  model: LoadedModel,
  pass: 'prefill' | 'decode',
  { clock, repeats }: { clock: Clock; repeats: number },
) {
  const recorded = recordGeneration(model, null, 1, PROMPT, ANSWER);
  const memory = new ProgramMemory(model.gpu);
  try {
    memory.share(model.weights.all, model.memory);
    for (const t of recorded.states) memory.allocate(t);
    for (const t of recorded.caches.flatMap((c) => [c.keys, c.values])) memory.allocate(t);
    const program = await Program.of(place(recorded[pass].program, memory));
    try {
      await clock.time(program);
      const times: number[] = [];
      for (let i = 0; i < repeats; i++) times.push(await clock.time(program));
      const milliseconds = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
      const tokens = pass === 'prefill' ? PROMPT : 1;
      return {
        milliseconds,
        flops: program.flops,
        dispatches: program.commands.filter((c) => c.type === 'dispatch').length,
        tokensPerSecond: (1000 * tokens) / milliseconds,
      };
    } finally {
      program.destroy();
    }
  } finally {
    memory.destroy();
  }
}
