// The typed declaration of one WGSL entry point, read from the WGSL itself so that the two cannot
// differ.

import { invariant } from '../util/error.ts';
import { joined } from './modules.ts';

/** How a storage binding is used by its kernel. */
export type Access = 'read' | 'read_write';

/** One storage binding, in `@binding` order. */
export interface Binding {
  name: string;
  access: Access;
}

/** A scalar of a kernel's `Params` struct. */
export interface Param {
  name: string;
  type: 'u32' | 'i32' | 'f32';
}

/** One compute entry point with everything that a dispatch must supply. */
export interface Kernel {
  name: string;
  /** The whole text, modules included; the entry point is `main`. */
  code: string;
  bindings: readonly Binding[];
  params: readonly Param[];
  usesStep: boolean;
  /** Values of the text's `override`s. */
  constants: Readonly<Record<string, number>>;
}

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(storage|uniform)\s*(?:,\s*(read|read_write))?\s*>\s*(\w+)\s*:\s*([^;]+);/g;

const FIELD = /(\w+)\s*:\s*(?:(u32|i32|f32)|array<(\w+), (\d+)>)/g;

/** The scalars of a struct in a text; those of an array of structs as `name[0].field`. */
function fieldsOf(code: string, struct: string): Param[] {
  const body = new RegExp(`struct ${struct}\\s*\\{([^}]*)\\}`).exec(code)?.[1] ?? '';
  return [...body.matchAll(FIELD)].flatMap(([, name, type, of, count]) => {
    if (type) return [{ name, type: type as Param['type'] }];
    const inner = fieldsOf(code, of);
    return Array.from({ length: Number(count) }, (_, i) =>
      inner.map((field) => ({ ...field, name: `${name}[${i}].${field.name}` })),
    ).flat();
  });
}

const made = new Map<string, Kernel>();

/** The kernel of a name, made when it is first asked for. */
export const kernelNamed = (name: string, make: () => Kernel): Kernel => made.get(name) ?? make();

/**
 * Reads a kernel's interface from its WGSL. Conventions: storage bindings are 0…n−1 in order;
 * `params: Params` (constants of the dispatch) and `step: Step` (scalars of the step,
 * shaders/lib/step.wgsl) are uniforms after them.
 * @param options.uses modules of shaders/lib beside those that the text names
 * @param options.constants values of its `override`s
 * @throws if the text breaks the conventions.
 */
export function defineKernel(
  name: string,
  code: string,
  options: { uses?: readonly string[]; constants?: Record<string, number> } = {},
): Kernel {
  const found = [...code.matchAll(BINDING)].map((m) => ({
    index: Number(m[1]),
    space: m[2],
    access: m[3],
    name: m[4],
  }));
  const storage = found.filter((b) => b.space === 'storage');
  storage.forEach((b, i) =>
    invariant(b.index === i, `${name}: storage binding ${b.name} must be @binding(${i})`),
  );
  invariant(storage.length <= 8, `${name}: more than 8 storage bindings`);
  const uniforms = found.filter((b) => b.space === 'uniform');
  uniforms.forEach((b, i) =>
    invariant(
      b.index === storage.length + i,
      `${name}: uniform ${b.name} must be @binding(${storage.length + i})`,
    ),
  );
  const usesStep = uniforms.some((b) => b.name === 'step');
  const names = uniforms.map((b) => b.name).join();
  invariant(
    ['', 'params', 'step', 'params,step'].includes(names),
    `${name}: uniforms must be params, then step; found ${names}`,
  );
  const kernel: Kernel = {
    name,
    params: fieldsOf(code, 'Params'),
    usesStep,
    constants: options.constants ?? {},
    code: joined(code, [...(options.uses ?? []), ...(usesStep ? ['step'] : [])]),
    bindings: storage.map((b) => ({
      name: b.name,
      access: b.access === 'read_write' ? 'read_write' : 'read',
    })),
  };
  made.set(name, kernel);
  return kernel;
}

/** Identifies a compiled pipeline: kernels with equal keys share it. */
export const kernelKey = (k: Kernel): string => `${k.name}/${JSON.stringify(k.constants)}`;

/** Packs the fields of a uniform struct, checking that none is missing or unknown. */
function pack(what: string, fields: readonly Param[], values: Record<string, number>): ArrayBuffer {
  const bytes = new ArrayBuffer(Math.max(16, Math.ceil(fields.length / 4) * 16));
  const view = new DataView(bytes);
  const unknown = Object.keys(values).find((name) => !fields.some((f) => f.name === name));
  invariant(unknown === undefined, `${what}: no param ${unknown}`);
  fields.forEach(({ name, type }, i) => {
    const v = values[name];
    invariant(typeof v === 'number' && !Number.isNaN(v), `${what}: param ${name} is ${v}`);
    if (type === 'f32') view.setFloat32(i * 4, v, true);
    else if (type === 'i32') view.setInt32(i * 4, v, true);
    else view.setUint32(i * 4, v, true);
  });
  return bytes;
}

/** Packs a dispatch's constants into its `Params` bytes. */
export const packParams = (kernel: Kernel, values: Record<string, number>): ArrayBuffer =>
  pack(kernel.name, kernel.params, values);

/**
 * The constants that a module of shaders/lib declares (`const GRAD_NORM = 3u;`), by their names here
 * (`gradNorm`).
 * @throws if the names are not exactly the module's
 */
export function constantsOf<K extends string>(
  module: string,
  names: readonly K[],
): Readonly<Record<K, number>> {
  const found = new Map(
    [...joined('', [module]).matchAll(/^const (\w+) = (\d+)u;/gm)].map(([, name, value]) => [
      name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      Number(value),
    ]),
  );
  invariant(
    found.size === names.length && names.every((name) => found.has(name)),
    `${module}.wgsl declares ${[...found.keys()].join(', ')}, not ${names.join(', ')}`,
  );
  return Object.fromEntries(found) as Record<K, number>;
}

const stepFields = fieldsOf(joined('', ['step']), 'Step');

/** Packs the step uniform (shaders/lib/step.wgsl); scalars left out are 0. */
export function packStep(scalars: Record<string, number | undefined>): ArrayBuffer {
  const values = Object.fromEntries(stepFields.map(({ name }) => [name, 0]));
  for (const [name, v] of Object.entries(scalars)) values[name] = v ?? 0;
  return pack('step', stepFields, values);
}
