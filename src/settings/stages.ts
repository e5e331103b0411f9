// run.json's `train` and `search`: how long a stage is, its rows, and how its optimizer steps.
import { z } from 'zod';
import { count, type Note, setting } from '../util/setting.ts';

const schedule = (note: Pick<Note, 'label' | 'help'>) =>
  setting(z.enum(['linear', 'cosine', 'constant']).default('linear'), {
    ...note,
    choices: { linear: 'Linear', cosine: 'Cosine', constant: 'Constant' },
  });

export const train = z.strictObject({
  steps: setting(count(10_000_000).default(100), { label: 'Length', help: 'Optimizer steps' }),
  epochs: setting(z.number().positive().max(100_000).nullable().default(null), {
    label: 'Epochs',
    help: 'Passes over the rows, instead of a length',
    none: 'use the length',
  }),
  batch: setting(count(65_536).default(64), {
    label: 'Batch',
    help: 'Rows per optimizer step; a multiple of the micro-batch',
  }),
  microBatch: setting(count(4096).default(16), {
    label: 'Micro-batch',
    help: 'Rows at a time; fewer need less memory',
  }),
  learningRate: setting(z.number().min(0).default(3e-4), {
    label: 'Learning rate',
    help: 'Usually 1e-5 to 1e-2; small models need more',
  }),
  schedule: schedule({
    label: 'Schedule',
    help: 'How the learning rate changes after the warm-up',
  }),
  warmupSteps: setting(z.number().int().min(0).default(0), {
    label: 'Warm-up',
    help: 'Steps until the full learning rate',
  }),
  weightDecay: setting(z.number().min(0).default(0), {
    label: 'Weight decay',
    help: 'On all the adapter’s parameters',
  }),
  clipNorm: setting(z.number().positive().nullable().default(1), {
    label: 'Gradient clip',
    help: 'Largest norm of the gradient',
    none: 'no limit',
  }),
  evaluateEvery: setting(count(10_000_000).nullable().default(null), {
    label: 'Validate every',
    help: 'Steps between validations',
    none: 'only at the end',
  }),
});

const survival = ['estimator', 'survival'] as const;

export const search = z.strictObject({
  steps: setting(count(10_000_000).default(200), {
    label: 'Search length',
    help: 'Upper steps, each with two micro-batches',
  }),
  upperLearningRate: setting(z.number().min(0).default(3e-3), {
    label: 'Upper learning rate',
    help: 'For the sizes; a short search needs 0.02 or more for them to move',
  }),
  budget: setting(z.number().positive().max(1).nullable().default(null), {
    label: 'Budget',
    help: 'Keeps the expected parameters below this share of the largest adapter’s',
    none: 'none',
    needs: survival,
  }),
  closable: setting(z.boolean().default(false), {
    label: 'Allow closed linears',
    help: 'A closed linear gets no expert, or rank 0: it stays as it is in the base model',
    needs: survival,
  }),
  estimator: setting(z.enum(['survival', 'paper']).default('survival'), {
    label: 'Estimator',
    help: 'How sizes get their gradient: by whether opening each would lower the loss, or as in the paper, which allows no budget, cost or closed linears',
    choices: { survival: 'Survival', paper: 'Paper' },
  }),
  sizes: setting(z.enum(['argmax', 'sampled']).default('argmax'), {
    label: 'Sizes during the search',
    help: 'The likeliest ones, or new samples for each step',
    choices: { argmax: 'Likeliest', sampled: 'Sampled' },
    needs: survival,
  }),
  order: setting(z.enum(['first-order', 'second-order']).default('first-order'), {
    label: 'Order',
    help: 'Of the bilevel gradient; second order costs more than twice as much',
    choices: { 'first-order': 'First', 'second-order': 'Second' },
  }),
  split: setting(z.enum(['disjoint', 'paired']).default('disjoint'), {
    label: 'Rows of the two levels',
    help: 'Sizes and weights learn from different rows: from two halves of the data, or in alternating micro-batches',
    choices: { disjoint: 'Two halves', paired: 'Alternating' },
  }),
  schedule: schedule({
    label: 'Search schedule',
    help: 'How the lower learning rate changes after its warm-up',
  }),
  batch: setting(count(65_536).default(64), {
    label: 'Search batch',
    help: 'Rows per lower update; a multiple of the search micro-batch',
  }),
  microBatch: setting(count(4096).default(16), {
    label: 'Search micro-batch',
    help: 'Rows at a time',
  }),
  learningRate: setting(z.number().min(0).default(3e-4), {
    label: 'Lower learning rate',
    help: 'Of the adapter’s weights during the search',
  }),
  warmupSteps: setting(z.number().int().min(0).default(0), {
    label: 'Search warm-up',
    help: 'Lower updates until the full learning rate',
  }),
  lowerOnlySteps: setting(z.number().int().min(0).max(10_000_000).default(0), {
    label: 'Lower-only steps',
    help: 'Micro-batches before the sizes may start to move',
  }),
  cost: setting(z.number().min(0).default(0), {
    label: 'Cost',
    help: 'Weight in the upper loss of the expected parameters, as a share of the largest adapter’s; instead of a budget',
    needs: survival,
  }),
  weightDecay: setting(z.number().min(0).default(0), {
    label: 'Search weight decay',
    help: 'On the adapter’s weights',
  }),
  clipNorm: setting(z.number().positive().nullable().default(1), {
    label: 'Search gradient clip',
    help: 'Largest norm of the lower gradient',
    none: 'no limit',
  }),
});
