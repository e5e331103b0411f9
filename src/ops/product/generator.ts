// Emits the WGSL of products.
import { defineKernel, type Kernel } from '../../gpu/kernel.ts';
import { each as lines, range } from '../../gpu/wgsl.ts';
import { isBlockType } from '../../util/blocks.ts';
import { type Packing, UNPACK } from './packing.ts';
import type { Block, Phase } from './unrolled/body.ts';
import {
  zeros as declare,
  type Form,
  header,
  phasesOf,
  unrolledText as registerText,
  store,
} from './unrolled/text.ts';

export type { Form } from './unrolled/text.ts';
export type Variant = 'subgroup' | 'register' | 'tile';
const at = (side: 'row' | 'col', start: string, ld: string, outer: string, k: string): string =>
  side === 'row' ? `${start} + (${outer}) * ${ld} + ${k}` : `${start} + (${k}) * ${ld} + ${outer}`;

const TILE = 64;
const DEPTH = 16;

/**
 * Loads a DEPTH × TILE slice of one operand into workgroup memory as [k][outer], zero outside.
 * Blocks lie whole in it or outside.
 */
function tileLoad(
  name: string,
  side: 'row' | 'col',
  packing: Packing,
  s: string,
  limit: string,
  origin: string,
  scale: string,
): string {
  const array = `${name}${s}`;
  const index = at(side, `params.${array}_start`, `params.ld${name}${s}`, 'outer', 'kk');
  if (isBlockType(packing)) {
    // Each of the 256 threads loads four elements along the storage's rows.
    const place =
      side === 'row'
        ? `let o = thread / 4u; let d = (thread % 4u) * 4u;`
        : `let o = (thread % 16u) * 4u; let d = thread / 16u;`;
    const spread = lines(
      4,
      (j) =>
        `tile_${name}[${side === 'row' ? `(d + ${j}u) * ${TILE}u + o` : `d * ${TILE}u + o + ${j}u`}] = v[${j}];`,
    );
    return `{ ${place} let outer = ${origin} + o; let kk = k + d;
var v = vec4<f32>(); if (outer < ${limit} && kk < params.k${s}) { v = ${scale}weights4((${index}) / 4u); }
${spread} }`;
  }
  const [low, high] = packing === 'f32' ? [] : UNPACK[packing](`${array}[i / 2u]`);
  const word = packing === 'f32' ? `${array}[i]` : `select(${low}, ${high}, (i & 1u) == 1u)`;
  const split =
    side === 'row'
      ? `let o = e / ${DEPTH}u; let d = e % ${DEPTH}u;`
      : `let o = e % ${TILE}u; let d = e / ${TILE}u;`;
  return `for (var e = thread; e < ${TILE * DEPTH}u; e += 256u) { ${split} let outer = ${origin} + o; let kk = k + d;
var v = 0.0; if (outer < ${limit} && kk < params.k${s}) { let i = ${index}; v = ${scale}${word}; } tile_${name}[d * ${TILE}u + o] = v; }`;
}

function tileText(form: Form): string {
  const block: Block = { rows: 4, columns: 4 };
  const phase = (p: Phase): string => `for (var k = 0u; k < params.k${p.suffix}; k += ${DEPTH}u) {
${tileLoad('a', p.left, 'f32', p.suffix, 'params.m', 'm_tile', `params.alpha${p.suffix} * `)}
${tileLoad('b', p.right, p.packing, p.suffix, 'params.n', 'n_tile', '')}
workgroupBarrier();
for (var d = 0u; d < ${DEPTH}u; d++) {
let w = vec4<f32>(${range(4)
    .map((j) => `tile_b[d * ${TILE}u + tx * 4u + ${j}u]`)
    .join(', ')});
${lines(4, (r) => `c${r}_0 += tile_a[d * ${TILE}u + ty * 4u + ${r}u] * w;`)}
}
workgroupBarrier();
}`;
  return `${header(form)}
var<workgroup> tile_a: array<f32, ${TILE * DEPTH}>;
var<workgroup> tile_b: array<f32, ${TILE * DEPTH}>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
let m_tile = group.x * ${TILE}u; let n_tile = group.y * ${TILE}u; let tx = thread % 16u; let ty = thread / 16u;
let m0 = m_tile + ty * 4u; let n0 = n_tile + tx * 4u;
let add = params.accumulate != 0u;
${declare(block)}
${phasesOf(form).map(phase).join('\n')}
${store(form, block)}
}`;
}

/** A product kernel and the rows and columns of C that one workgroup covers. */
export interface ProductKernel {
  kernel: Kernel;
  tile: { rows: number; columns: number };
}

const made = new Map<string, ProductKernel>();

/**
 * The kernel of a form in a variant. `block` is for `subgroup` (rows a multiple of 4) and
 * `register`; columns a multiple of 4.
 */
export function productKernel(form: Form, variant: Variant, block: Block): ProductKernel {
  const second = form.second ? `+${form.second}${form.vector2 ? '4' : ''}` : '';
  const out = form.vectorOut ? '' : '_unaligned';
  const size = variant === 'tile' ? '' : `_${block.rows}x${block.columns}`;
  const name = `product_${form.left}_${form.right}${form.vector ? '4' : ''}${second}${form.bias ? '+bias' : ''}_${form.packing}_${variant}${size}${out}`;
  let known = made.get(name);
  if (!known) {
    const text =
      variant === 'tile' ? tileText(form) : registerText(form, block, variant === 'subgroup');
    const threads = variant === 'subgroup' ? 4 : 16;
    const tile =
      variant === 'tile'
        ? { rows: TILE, columns: TILE }
        : { rows: block.rows, columns: threads * block.columns };
    known = {
      kernel: defineKernel(name, text, {
        uses: isBlockType(form.packing) ? [`packing/${form.packing}`] : [],
      }),
      tile,
    };
    made.set(name, known);
  }
  return known;
}
