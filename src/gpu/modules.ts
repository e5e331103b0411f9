// WGSL that several kernels share: the files of shaders/lib, joined to a text that names them in a
// line `// uses: grid, reduce`.
import { invariant } from '../util/error.ts';

const prefix = '../../shaders/lib/';
const files = import.meta.glob<string>('../../shaders/lib/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

const usesOf = (code: string): string[] =>
  [...code.matchAll(/^\/\/ uses: (.*)$/gm)].flatMap((m) => m[1].split(', '));

/**
 * A kernel's text followed by the modules that it, its caller or they use, each once; what they
 * enable comes first.
 */
export function joined(code: string, more: readonly string[]): string {
  const found = new Map<string, string>();
  const visit = (name: string) => {
    if (found.has(name)) return;
    const text = files[`${prefix}${name}.wgsl`];
    invariant(text !== undefined, `there is no module shaders/lib/${name}.wgsl`);
    found.set(name, text);
    usesOf(text).forEach(visit);
  };
  [...usesOf(code), ...more].forEach(visit);
  const enables = new Set<string>();
  const texts = [code, ...found.values()].map((text) =>
    text.replace(/^enable .*;\n/gm, (line) => {
      enables.add(line);
      return '';
    }),
  );
  return [...enables].join('') + texts.join('\n');
}
