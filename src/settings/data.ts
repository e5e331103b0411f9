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
    help: 'Tokens a row may have; longer rows are cut to their first ones',
  }),
  limit: setting(count(Number.MAX_SAFE_INTEGER).nullable().default(null), {
    label: 'Limit',
    help: 'Rows to take, the first that can be used, in the order of the files',
    none: 'all',
  }),
  system: setting(
    z.string().regex(/\S/, 'expected a text that is not empty, or null').nullable().default(null),
    {
      label: 'System prompt',
      help: 'Before chats, prompts and questions that have none of their own; needs a chat template',
      none: 'none',
    },
  ),
  completionOnly: setting(z.boolean().default(true), {
    label: 'Train on answers only',
    help: 'Prompts carry no loss',
  }),
  turns: setting(z.enum(['all', 'last']).default('all'), {
    label: 'Last answer only',
    help: 'Answers of a conversation that carry loss: all of them, or the last one',
    on: 'last',
  }),
  template: setting(z.enum(['auto', 'none']).default('auto'), {
    label: 'Chat template',
    help: 'Rows are rendered by the model’s chat template, or as prompt + completion',
    on: 'auto',
  }),
  columns: setting(columns.nullable().default(null), {
    help: 'Columns of all rows by their role in a format; an optional one left out is that of the role’s name, with null there is none',
    none: 'the format is found by the names',
  }),
};

/** What is done with rows once they are read. */
const use = {
  packing: setting(z.boolean().default(false), {
    label: 'Packing',
    help: 'Several short rows, none seeing another, share one of the max length; a batch counts the shared ones',
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
      help: 'Share of the rows kept for validation, or names of data files all of whose rows are',
    },
  ),
  weights: setting(z.record(z.string().min(1), z.number().positive().max(1000)).default({}), {
    help: 'How often an epoch trains on the rows of a data file, by its name; a fraction is a seeded choice of them. Files left out: 1',
  }),
  shuffle: setting(z.boolean().default(true), {
    help: 'A new seeded order each epoch; false: file order, wrapping around',
  }),
};

export const data = z.strictObject({ ...reading, ...use });
