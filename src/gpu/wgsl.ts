// What generators of WGSL share: unrolling, and a layout that can be read.

/** 0 to n − 1. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A line for each i below n. */
export const each = (n: number, line: (i: number) => string): string =>
  range(n).map(line).join('\n');

/** A vec4 of four expressions. */
export const vec4 = (element: (i: number) => string): string =>
  `vec4<f32>(${range(4).map(element).join(', ')})`;

/** Component `i` of a vector. */
export const component = (vector: string, i: number): string => `${vector}.${'xyzw'[i]}`;

/** The text with every line indented by the braces that are open before it. */
export function indented(text: string): string {
  let depth = 0;
  const lines = text.split('\n').map((line) => {
    const bare = line.trim();
    const here = bare.startsWith('}') ? depth - 1 : depth;
    for (const c of bare) depth += c === '{' ? 1 : c === '}' ? -1 : 0;
    return bare && '  '.repeat(here) + bare;
  });
  return lines.join('\n').replace(/\n{2,}/g, '\n\n');
}
