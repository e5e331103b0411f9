// A digest of every kernel's text, so that a refactor shows which kernels it changed. Where a
// change is meant: npx vitest run --project unit src/ops/digest -u
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Kernel } from '../gpu/kernel.ts';
import { launchedKernels } from '../testing/kernels.ts';

/** The hash of a kernel's text without comments and layout. */
function digest({ code, constants }: Kernel): string {
  const plain = code
    .replace(/\/\/.*/g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([^\w ]) ?/g, '$1')
    .replace(/,([)}])/g, '$1');
  const hash = createHash('sha256').update(`${JSON.stringify(constants)} ${plain}`);
  return hash.digest('hex').slice(0, 12);
}

test('no kernel has changed', async () => {
  const lines = [...launchedKernels().values()].map((k) => `${digest(k)} ${k.name}`);
  const sorted = lines.sort((a, b) => (a.slice(13) < b.slice(13) ? -1 : 1));
  await expect(`${sorted.join('\n')}\n`).toMatchFileSnapshot('kernels.digest.txt');
});
