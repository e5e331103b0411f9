// SHA-256 in pieces against Node's own.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Sha256 } from './sha256.ts';

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 167 + (i >> 3)) & 255);
const node = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

test('every length around the blocks, in pieces of every length', () => {
  for (let length = 0; length < 200; length++) {
    for (const piece of [1, 7, 63, 64, 65, 1000]) {
      const hash = new Sha256();
      for (let at = 0; at < length; at += piece)
        hash.update(bytes.subarray(at, Math.min(length, at + piece)));
      expect(hash.hex(), `${length} bytes by ${piece}`).toBe(node(bytes.subarray(0, length)));
    }
  }
});

test('more than 512 MiB are counted in full', () => {
  const chunk = new Uint8Array(8 << 20).fill(0x5a);
  const [ours, theirs] = [new Sha256(), createHash('sha256')];
  for (let i = 0; i < 65; i++) {
    ours.update(chunk);
    theirs.update(chunk);
  }
  expect(ours.hex()).toBe(theirs.digest('hex'));
});
