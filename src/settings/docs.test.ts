// The docs of run.json are made of its schema; renew them with vitest -u.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { jsonSchema, settingTable } from './catalog.ts';

test('docs/run.schema.json', async () => {
  await expect(`${JSON.stringify(jsonSchema(), null, 2)}\n`).toMatchFileSnapshot(
    '../../docs/run.schema.json',
  );
});

test('the table of docs/settings.md', async () => {
  const path = '../../docs/settings.md';
  const text = readFileSync(join(import.meta.dirname, path), 'utf8');
  const prose = text.replace(/^\|.*\n/gm, '');
  await expect(`${prose}${settingTable()}`).toMatchFileSnapshot(path);
});
