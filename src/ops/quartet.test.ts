// A kernel is a quartet: WGSL, op, reference and test of one family. This test fails where one is
// missing or a shader is unused.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;
const shaders = join(root, 'shaders');
const families = [...new Set([...readdirSync(shaders), 'product'])]
  .filter((f) => f !== 'lib')
  .sort();

const sources = (family: string): string[] => {
  const folder = join(root, 'src/ops', family);
  if (existsSync(folder) && statSync(folder).isDirectory())
    return readdirSync(folder).map((f) => join(folder, f));
  return [`${folder}.ts`, `${folder}.gpu.test.ts`].filter((f) => existsSync(f));
};

for (const family of families) {
  test(`${family}: op, reference and test are there, and every shader is imported by its op`, () => {
    const files = sources(family);
    const ops = files.filter((f) => f.endsWith('.ts') && !f.includes('.test.'));
    expect(ops.length).toBeGreaterThan(0);
    expect(files.some((f) => f.endsWith('.gpu.test.ts'))).toBe(true);
    expect(existsSync(join(root, 'src/reference', `${family}.ts`))).toBe(true);
    const test = files
      .filter((f) => f.endsWith('.gpu.test.ts'))
      .map((f) => readFileSync(f, 'utf8'));
    expect(
      test.some((t) => t.includes(`reference/${family}.ts`)),
      'the test compares with the reference',
    ).toBe(true);
    const text = ops.map((f) => readFileSync(f, 'utf8')).join('\n');
    const folder = join(shaders, family);
    const wgsl = existsSync(folder) ? readdirSync(folder).filter((f) => f.endsWith('.wgsl')) : [];
    for (const file of wgsl)
      expect(text, `${file} is imported`).toContain(`shaders/${family}/${file}?raw`);
    expect(
      wgsl.length > 0 || ops.some((f) => f.endsWith('generator.ts')),
      'shaders or a generator',
    ).toBe(true);
  });
}
