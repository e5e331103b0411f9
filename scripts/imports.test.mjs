// The import rules catch what they are there to catch.
import { describe, expect, it } from 'vitest';
import { specifiers, violations } from './imports.mjs';

const check = (/** @type {Record<string, string>} */ files) => {
  const map = new Map(Object.entries(files));
  return violations(map, (path) => map.has(path) || path.startsWith('shaders/'));
};

describe('import rules', () => {
  it('finds every way of importing', () => {
    const source = `import a from './a.ts';\nimport {\n  b,\n} from './b.ts';\nimport './c.ts';\nexport { d } from './d.ts';
const e = await import('./e.ts');\nimport type { F } from './f.ts';\nnew Worker(new URL('./g.ts', import.meta.url));
import w from '../shaders/h.wgsl?raw';\nconst i = import.meta.glob<string>('./i/*', {});`;
    const all = [
      './a.ts',
      './b.ts',
      './c.ts',
      './d.ts',
      './e.ts',
      './f.ts',
      './g.ts',
      '../shaders/h.wgsl?raw',
      './i/*',
    ];
    expect(specifiers(source).sort()).toEqual(all.sort());
  });

  it('lets imports point down and not up', () => {
    const down = { 'src/ops/a.ts': `import { b } from '../graph/b.ts';`, 'src/graph/b.ts': '' };
    expect(check(down)).toEqual([]);
    const up = { 'src/graph/b.ts': `import { a } from '../ops/a.ts';`, 'src/ops/a.ts': '' };
    expect(check(up)).toEqual([expect.stringContaining('graph may not import ops/a')]);
  });

  it('shows the page only settings, allocations and the protocol', () => {
    const files = {
      'src/ui/a.tsx': `import { c } from '../settings/run-config.ts';\nimport { s } from '../train/session.ts';`,
    };
    const found = check({ ...files, 'src/settings/run-config.ts': '', 'src/train/session.ts': '' });
    expect(found).toEqual([expect.stringContaining('ui may not import train/session')]);
  });

  it('keeps those modules free of the engine', () => {
    const found = check({
      'src/settings/run-config.ts': `import { s } from '../train/session.ts';\nimport { z } from 'zod';`,
      'src/train/session.ts': '',
    });
    expect(found).toEqual([expect.stringContaining('may not import train/session')]);
  });

  it('gives shaders to ops alone and testing to tests alone', () => {
    const shader = (/** @type {string} */ folder) =>
      check({ [`src/${folder}/a.ts`]: `import w from '../../shaders/norm/a.wgsl?raw';` });
    expect(shader('ops')).toEqual([]);
    expect(shader('gpu').length).toBe(1);
    const testing = { 'src/testing/gpu.ts': '' };
    expect(check({ ...testing, 'src/gpu/a.ts': `import '../testing/gpu.ts';` }).length).toBe(1);
    expect(check({ ...testing, 'src/gpu/a.test.ts': `import '../testing/gpu.ts';` })).toEqual([]);
  });

  it('finds cycles, barrels and missing files', () => {
    const cycle = { 'src/gpu/a.ts': `import './b.ts';`, 'src/gpu/b.ts': `import './a.ts';` };
    expect(check(cycle)).toEqual([expect.stringMatching(/^cycle: .*a\.ts → .*b\.ts → .*a\.ts/)]);
    expect(check({ 'src/gpu/a.ts': `export * from './b.ts';`, 'src/gpu/b.ts': '' })).toEqual([
      expect.stringContaining('barrels'),
    ]);
    expect(check({ 'src/gpu/a.ts': `import './b';` })).toEqual([
      expect.stringContaining('no file'),
    ]);
  });
});
