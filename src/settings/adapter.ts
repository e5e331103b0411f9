// run.json's `adapter`: the method, its own settings, and those of all methods.
import { z } from 'zod';
import { methodNames, methodSettings, methods } from '../adapters/methods/methods.ts';
import { targetNames } from '../allocation/allocation.ts';
import { count, setting } from '../util/setting.ts';

export const adapter = z.strictObject({
  method: setting(z.enum(methodNames).default(methodNames[0]), {
    label: 'Method',
    help: 'What is added to a linear',
    choices: Object.fromEntries(methods.map(({ name, title }) => [name, title])),
  }),
  rank: setting(count(1024).default(8), {
    label: 'Rank',
    help: 'Of every expert, or the most that one may have',
  }),
  ...methodSettings,
  alpha: setting(z.number().positive().default(16), {
    label: 'Alpha',
    help: 'The update is scaled by alpha / rank',
  }),
  dropout: setting(z.number().min(0).lt(1).default(0.05), {
    label: 'Dropout',
    help: 'Of the adapter’s input',
  }),
  parameters: setting(count(Number.MAX_SAFE_INTEGER).nullable().default(null), {
    label: 'Trainable parameters',
    help: 'Experts and ranks are scaled to come to this number, their pattern kept',
    none: 'as they are',
  }),
  targets: setting(
    z
      .array(z.enum(targetNames))
      .min(1)
      .default([...targetNames]),
    { help: 'The linears of every layer that are adapted' },
  ),
});
