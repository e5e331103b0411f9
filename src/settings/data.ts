// run.json's `data`: how rows are read, split and packed.
import { z } from 'zod';
import { type Columns, formatRoles } from '../data/dataset/roles.ts';
import { count, setting } from '../util/setting.ts';

const column = z.string().min(1);
const columns = z.union(
  Object.values(formatRoles).map((roles) => {
    const of = (role: string, must: boolean) =>
      role === 'choices'
        ? z.union([column, z.array(column).min(2).max(10)])
        : must
          ? column
          : column.nullable().optional();
    return z.strictObject(
      Object.fromEntries(Object.entries(roles).map(([role, must]) => [role, of(role, must)])),
    );
  }),
  `expected the columns of one format: ${Object.values(formatRoles)
    .map((roles) => `{${Object.keys(roles).join(', ')}}`)
    .join(', ')}`,
) as unknown as z.ZodType<Columns, Columns>;

/** How rows are read from files. */
export const reading = {
  maxLength: setting(z.number().int().min(2).max(1_000_000).default(256), {
    label: 'Max length',
    help: 'Tokens per row; longer rows are cut off at the end',
  }),
  limit: setting(count(Number.MAX_SAFE_INTEGER).nullable().default(null), {
    label: 'Limit',
    help: 'Uses at most this many rows: the first usable ones, in file order',
    none: 'all',
  }),
  system: setting(
    z.string().regex(/\S/, 'expected text that is not empty, or null').nullable().default(null),
    {
      label: 'System prompt',
      help: 'For chats, prompts and questions that have none of their own; needs a chat template',
      none: 'none',
    },
  ),
  completionOnly: setting(z.boolean().default(true), {
    label: 'Train on answers only',
    help: 'Prompts carry no loss',
  }),
  turns: setting(z.enum(['all', 'last']).default('all'), {
    label: 'Last answer only',
    help: 'Which answers of a conversation carry loss: all of them, or only the last one',
    on: 'last',
  }),
  template: setting(z.enum(['auto', 'none']).default('auto'), {
    label: 'Chat template',
    help: 'Rows are rendered with the model’s chat template, or as prompt + completion',
    on: 'auto',
  }),
  columns: setting(columns.nullable().default(null), {
    help: 'Column for each role of a format; an optional role left out takes the column of its own name, null means no column',
    none: 'the format is detected by column names',
  }),
};

/** What is done with rows once they are read. */
const use = {
  packing: setting(z.boolean().default(false), {
    label: 'Packing',
    help: 'Packs several short rows, which cannot see each other, into one of the max length; a batch counts packed rows',
  }),
  validation: setting(
    z
      .union(
        [z.number().min(0).lt(1), z.array(z.string().min(1)).min(1)],
        'expected a share from 0 to below 1, or a list of file names',
      )
      .default(0.05),
    {
      label: 'Validation share',
      help: 'Share of the rows held out for validation, or names of data files to hold out whole',
    },
  ),
  weights: setting(z.record(z.string().min(1), z.number().positive().max(1000)).default({}), {
    help: 'How many times an epoch trains on the rows of a data file, by file name; a fraction takes a seeded sample. Files not listed: 1',
  }),
  shuffle: setting(z.boolean().default(true), {
    help: 'A new seeded order each epoch; false: file order, wrapping around',
  }),
};

export const data = z.strictObject({ ...reading, ...use });
