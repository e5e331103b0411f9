// Which runs of a comparison are the same: settings at their defaults don't count, all others do.
import { expect, test } from 'vitest';
import { parseRunConfig } from '../../settings/run-config.ts';
import { digest, settingsOf, unlike } from './identity.ts';

const config = (json: object) => parseRunConfig(json, 'test');

test('settings that differ from their defaults, wherever they stand', () => {
  expect(settingsOf(config({ search: {} }))).toEqual({});
  expect(
    settingsOf(config({ seed: 7, train: { steps: 9 }, adapter: { rank: 8, dropout: 0 } })),
  ).toEqual({
    seed: 7,
    train: { steps: 9 },
    adapter: { dropout: 0 },
    search: false,
    allocation: 'uniform',
  });
  expect(settingsOf(config({ search: { closable: true } }))).toEqual({
    search: { closable: true },
  });
  expect(settingsOf(config({ train: false, search: {} }))).toEqual({ train: false });
});

test('a setting that no run had before makes no other run of it; another value does', () => {
  const before = { a: 1, b: { c: 2 } };
  expect(
    unlike({ ...before, b: { c: 3, later: null } }, { ...before, b: { c: 2, later: null } }),
  ).toEqual(unlike({ a: 1, b: { c: 3 } }, before));
  const of = (json: object) => digest(settingsOf(config(json)));
  expect(of({ seed: 3, train: { steps: 5 } })).toBe(
    of({ train: { steps: 5, batch: 64 }, seed: 3 }),
  );
  expect(of({ seed: 3 })).not.toBe(of({ seed: 4 }));
  expect(of({ search: {} })).not.toBe(of({}));
});
