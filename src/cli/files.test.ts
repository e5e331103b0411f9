// Files and folders on disk, there and not there.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fileSource, folderSource } from './files.ts';

const dir = mkdtempSync(join(tmpdir(), 'files-'));
afterAll(() => rmSync(dir, { recursive: true }));
writeFileSync(join(dir, 'a.bin'), Uint8Array.of(1, 2, 3, 4, 5));
mkdirSync(join(dir, 'sub'));

describe('fileSource', () => {
  test('reads ranges, and no more than there is', async () => {
    const file = fileSource(join(dir, 'a.bin'));
    expect([file.name, file.size]).toEqual(['a.bin', 5]);
    expect([...(await file.read(1, 3))]).toEqual([2, 3]);
    expect([...(await file.read(3, 99))]).toEqual([4, 5]);
    expect([...(await file.read(9, 12))]).toEqual([]);
  });
  test('what is missing, or a folder, is named', () => {
    expect(() => fileSource(join(dir, 'none'))).toThrow(/none: no such file/);
    expect(() => fileSource(dir)).toThrow(/this is a folder, not a file/);
  });
  test('a file that vanishes before it is read', async () => {
    writeFileSync(join(dir, 'gone'), 'x');
    const file = fileSource(join(dir, 'gone'));
    rmSync(join(dir, 'gone'));
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: 'missing-file' });
  });
});

describe('folderSource', () => {
  test('lists files, not subfolders', async () => {
    const folder = folderSource(dir);
    expect(folder.files).toEqual(['a.bin']);
    expect(folder.open('a.bin')?.size).toBe(5);
    expect(folder.open('../a.bin')).toBeUndefined();
    expect(folder.open('sub')).toBeUndefined();
  });
  test('what is missing, or a file, is named', () => {
    expect(() => folderSource(join(dir, 'none'))).toThrow(/no such folder/);
    expect(() => folderSource(join(dir, 'a.bin'))).toThrow(/this is a file, not a folder/);
  });
});
