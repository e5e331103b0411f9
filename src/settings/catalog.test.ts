// What is said about a setting comes from its schema: JSON Schema, table, help.
import { describe, expect, test } from 'vitest';
import { train } from '../cli/commands/train.ts';
import { jsonSchema, type Setting, settings, settingTable } from './catalog.ts';

const at = (path: string): Setting => settings.find((s) => s.path === path)!;

describe('all that is said comes from one note', () => {
  test.each(settings)('$path: one help everywhere', (setting) => {
    const line = train
      .help()
      .split('\n')
      .find((text) => text.startsWith(`  ${setting.path} `))!;
    expect(line).toContain(setting.help);
    expect(line).toContain(setting.range);
    const row = settingTable()
      .split('\n')
      .find((text) => text.startsWith(`| \`${setting.path}\` `))!;
    for (const part of [setting.help, setting.range, setting.label ?? '–', setting.none ?? ''])
      expect(row).toContain(part);
    const found = schemasAt(jsonSchema(), setting.path.split('.'));
    expect(found.length).toBeGreaterThan(0);
    for (const { title, description } of found) {
      expect(title).toBe(setting.label);
      expect(description).toContain(setting.help);
    }
  });
});

interface JsonSchema {
  title?: string;
  description?: string;
  properties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

/** What a JSON Schema says about a key, in each alternative that has it. */
function schemasAt(schema: JsonSchema, [key, ...rest]: string[]): JsonSchema[] {
  if (key === undefined) return [schema];
  const own = schema.properties?.[key];
  return [
    ...(own ? schemasAt(own, rest) : []),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((s) =>
      schemasAt(s, [key, ...rest]),
    ),
  ];
}

test('ranges say what a value must be', () => {
  expect(at('seed').range).toBe('0 or more');
  expect(at('adapter.rank').range).toBe('1 to 1024');
  expect(at('adapter.dropout').range).toBe('0 to below 1');
  expect(at('search.budget').range).toBe('above 0 to 1');
  expect(at('train.clipNorm').range).toBe('above 0');
  expect(at('data.validation').range).toBe('0 to below 1');
  expect(at('train.schedule').range).toBe('linear, cosine, constant');
  expect(at('train.steps').range).toBe('1 to 10,000,000');
  expect(at('data.system').range).toBe('');
});

test('kinds and defaults are those of the schema', () => {
  const kinds = ['seed', 'data.turns', 'data.packing', 'data.system', 'adapter.targets'];
  expect(kinds.map((path) => at(path).kind)).toEqual(['number', 'choice', 'switch', 'text', null]);
  expect(at('adapter.topK').initial).toBe(2);
  expect(at('allocation').initial).toBeUndefined();
});
