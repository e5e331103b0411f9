// A kernel is a quartet: WGSL, op, reference and test of one family. These tests fail where one is
// missing, where a shader is in no program, or where a test has no use for its reference.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launchedKernels } from '../testing/kernels.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const below = (folder: string, ending: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));

const shaders = readdirSync(join(root, 'shaders')).filter((family) => family !== 'lib');
const tests = below('src/ops', '.gpu.test.ts').map(read);

/** Whether a test calls what it imports from a reference. */
function calls(test: string, reference: string): boolean {
  const imported = new RegExp(`import \\{([^}]*)\\} from '[./]*/reference/${reference}.ts'`);
  const names = imported.exec(test)?.[1].split(',') ?? [];
  const local = names.map((name) => name.trim().split(' as ').at(-1)).filter(Boolean);
  return local.some((name) => new RegExp(`\\b${name}\\(`).test(test));
}

for (const family of shaders)
  test(`${family}: an op, a reference, and a test that calls it`, () => {
    const op = `src/ops/${family}`;
    expect([`${op}.ts`, `${op}/${family}.ts`].some((path) => existsSync(join(root, path)))).toBe(
      true,
    );
    expect(existsSync(join(root, 'src/reference', `${family}.ts`))).toBe(true);
    expect(tests.some((text) => calls(text, family))).toBe(true);
  });

test('every shader is in a program, and every module in a kernel', () => {
  const texts = [...launchedKernels().values()].map((k) => k.code);
  const unused = below('shaders', '.wgsl').filter((path) => {
    const text = read(path).replace(/^enable .*;\n/gm, '');
    return !texts.some((code) => code.includes(text));
  });
  expect(unused).toEqual([]);
});
