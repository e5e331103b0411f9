// Where the template interpreter departs from Python: stripping (which characters are spaces, which
// ones to strip) and equality.
import type { Template } from '@huggingface/jinja';

/** What a template's syntax tree is made of, as far as it is rewritten here. */
interface Node {
  type: string;
  [part: string]: unknown;
}

// What Python's str.isspace() holds to be a space: a byte-order mark is none, separators U+001C to
// U+001F and U+0085 are.
const spaces =
  '\t\n\v\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';

function strip(side: 'both' | 'left' | 'right', value: unknown, chars: unknown): string {
  const text = value === undefined ? '' : value === null ? 'None' : String(value);
  const away = new Set(typeof chars === 'string' ? chars : spaces);
  const list = [...text];
  let [start, end] = [0, list.length];
  if (side !== 'right') while (start < end && away.has(list[start])) start++;
  if (side !== 'left') while (end > start && away.has(list[end - 1])) end--;
  return list.slice(start, end).join('');
}

function equal(a: unknown, b: unknown): boolean {
  const isNumber = (v: unknown) => typeof v === 'number' || typeof v === 'boolean';
  if (isNumber(a) && isNumber(b)) return Number(a) === Number(b);
  return a === b || (Array.isArray(a) && Array.isArray(b) && a.length === 0 && b.length === 0);
}

/** The functions that rewritten templates call, to be given to `render`. */
export const pythonFunctions = {
  __strip: (value: unknown, chars?: unknown) => strip('both', value, chars),
  __lstrip: (value: unknown, chars?: unknown) => strip('left', value, chars),
  __rstrip: (value: unknown, chars?: unknown) => strip('right', value, chars),
  __equal: equal,
  __unequal: (a: unknown, b: unknown) => !equal(a, b),
};

const isNode = (v: unknown): v is Node =>
  typeof v === 'object' && v !== null && typeof (v as { type?: unknown }).type === 'string';
const call = (name: keyof typeof pythonFunctions, args: unknown[]): Node => ({
  type: 'CallExpression',
  callee: { type: 'Identifier', value: name },
  args,
});

/**
 * Makes a template call `pythonFunctions` for `.strip()`, `.lstrip()`, `.rstrip()`, `| trim`, `==`
 * and `!=`. Changes it in place.
 */
export function pythonise(template: Template): Template {
  template.parsed = rewrite(template.parsed) as typeof template.parsed;
  return template;
}

function rewrite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewrite);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [rewrite(k), rewrite(v)]));
  if (!isNode(value)) return value;
  const node = value;
  for (const [part, child] of Object.entries(node)) node[part] = rewrite(child);
  return replacement(node) ?? node;
}

function replacement(node: Node): Node | null {
  if (node.type === 'BinaryExpression') {
    const operator = (node.operator as { value: string }).value;
    if (operator === '==') return call('__equal', [node.left, node.right]);
    return operator === '!=' ? call('__unequal', [node.left, node.right]) : null;
  }
  if (node.type === 'FilterExpression' && isNode(node.filter)) {
    const isCall = node.filter.type === 'CallExpression';
    const name = (isCall ? (node.filter.callee as Node) : node.filter).value;
    return name === 'trim'
      ? call('__strip', [node.operand, ...(isCall ? (node.filter.args as unknown[]) : [])])
      : null;
  }
  if (
    node.type !== 'CallExpression' ||
    !isNode(node.callee) ||
    node.callee.type !== 'MemberExpression' ||
    node.callee.computed
  )
    return null;
  const method = (node.callee.property as Node).value;
  if (method !== 'strip' && method !== 'lstrip' && method !== 'rstrip') return null;
  return call(`__${method}`, [node.callee.object, ...(node.args as unknown[])]);
}
