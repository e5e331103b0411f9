// C = α·A·B (+ α₂·A₂·B₂) (+ bias) (+ residual), in tiles of C: a thread holds blocks of 4 × 4 of one,
// and steps of `depth` along K pass through workgroup memory. A is (M, K) by rows, else (K, M); B is
// (N, K) by rows, else (K, N), and packed (lib/packing); A₂ is (M, K₂) by rows, B₂ as B, in f32.
// Without a low-rank pair K₂ is 0, without a bias `has_bias`; what is bound there is not read. Up to
// three products share a launch: each writes its own columns of tiles, or (`summed`) all accumulate
// into one C. Each z has a slice of K and a C of its own. `a_quad` to `b2_quad` read four elements
// from one on; they, the types A to B2, how four elements are kept in workgroup memory (`KeptA`,
// `KeptB` with `keep_` and `kept_`), and `scale`, which multiplies A on load and divides the sums on
// store, are the caller's.
// uses: product/load
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> b: array<B>;
@group(0) @binding(2) var<storage, read> a2: array<A2>;
@group(0) @binding(3) var<storage, read> b2: array<B2>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;
struct Product {
  m: u32, n: u32, k: u32, k2: u32,
  a_start: u32, b_start: u32, c_start: u32, a2_start: u32,
  b2_start: u32, bias_start: u32, lda: u32, ldb: u32,
  ldc: u32, ldb2: u32, alpha: f32, alpha2: f32,
}
struct Params {
  products: array<Product, 3>,
  count: u32, summed: u32, lda2: u32, slice: u32,
  accumulate: u32, has_bias: u32, has_residual: u32, first_group: u32,
}
@group(0) @binding(7) var<uniform> params: Params;

override rows: u32 = 64; // of a tile
override columns: u32 = 64;
override results: u32 = 4; // rows and columns of a thread: 1, 4, or 8 in four blocks
override lanes: u32 = 1;   // threads that share the k of a step, and then add their sums
override depth: u32 = 16;
override a_by_rows: bool = true;
override b_by_rows: bool = true;
override b2_by_rows: bool = true;

override threads_x: u32 = columns / results;
override threads_y: u32 = rows / results;
override cells: u32 = threads_x * threads_y;
override threads: u32 = cells * lanes;

// A step of A as [k][quad of rows], of B as [k][quad of columns]; one quad more, so that those of a
// column lie in other banks.
override width_a: u32 = rows / 4 + 1;
override width_b: u32 = columns / 4 + 1;
var<workgroup> tile_a: array<KeptA, depth * width_a>;
var<workgroup> tile_b: array<KeptB, depth * width_b>;

// x·yᵀ, a column of the matrix for each row.
fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y);
}

// Four sums of product p at (row, column).
fn store(p: u32, at: vec2<u32>, z: u32, sums: vec4<f32>) {
  let it = params.products[p];
  if (at.x >= it.m) { return; }
  for (var i = 0u; i < min(results, 4u) && at.y + i < it.n; i++) {
    let to = it.c_start + (z * it.m + at.x) * it.ldc + at.y + i;
    var v = sums[i] / scale();
    if (params.accumulate != 0u) { v += c[to]; }
    if (params.has_bias != 0u) { v += bias[it.bias_start + at.y + i]; }
    if (params.has_residual != 0u) { v += residual[to]; }
    c[to] = v;
  }
}

fn store_block(p: u32, at: vec2<u32>, z: u32, sums: mat4x4<f32>) {
  store(p, at, z, sums[0]);
  store(p, at + vec2<u32>(1u, 0u), z, sums[1]);
  store(p, at + vec2<u32>(2u, 0u), z, sums[2]);
  store(p, at + vec2<u32>(3u, 0u), z, sums[3]);
}

// Adds a row's sums of all lanes in order, and stores them.
fn store_lanes(p: u32, row: u32, at: vec2<u32>, z: u32, part: vec4<f32>, thread: u32) {
  workgroupBarrier();
  tile_a[thread] = keep_a(part);
  workgroupBarrier();
  if (thread / cells != row) { return; }
  var sum = vec4<f32>();
  for (var lane = 0u; lane < lanes; lane++) { sum += kept_a(tile_a[lane * cells + thread % cells]); }
  store(p, at + vec2<u32>(row, 0u), z, sum);
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  // Which product this tile belongs to, and its column there.
  var p = 0u;
  var column = group.y;
  while (params.summed == 0u && column >= (params.products[p].n + columns - 1u) / columns) {
    column -= (params.products[p].n + columns - 1u) / columns;
    p++;
  }
  let first = vec2<u32>((params.first_group + group.x) * rows, column * columns);
  if (first.x >= params.products[p].m) { return; }
  let cell = vec2<u32>(thread % cells / threads_x, thread % threads_x);
  let lane = select(0u, thread / cells, lanes > 1u);
  var sums = mat4x4<f32>();
  var sums_right = mat4x4<f32>(); // these three where a thread has 8 × 8
  var sums_below = mat4x4<f32>();
  var sums_last = mat4x4<f32>();
  let terms = select(1u, params.count, params.summed != 0u);
  for (var t = p; t < p + terms; t++) {
    let it = params.products[t];
    let start = group.z * params.slice;
    let end = min(it.k, start + params.slice);
    let steps = (end - start + depth - 1u) / depth; // and then those of the low-rank pair
    for (var s = 0u; s < steps + (it.k2 + depth - 1u) / depth; s++) {
      let low_rank = s >= steps;
      let k = select(start + s * depth, (s - steps) * depth, low_rank);
      let stop = select(end, it.k2, low_rank);
      load(t, false, low_rank, vec2<u32>(first.x, k), vec2<u32>(it.m, stop), thread);
      // Of B the last threads first, which may have had no block of A.
      load(t, true, low_rank, vec2<u32>(first.y, k), vec2<u32>(it.n, stop), threads - 1u - thread);
      workgroupBarrier();
      for (var i = 0u; i < depth / lanes; i++) {
        let d = i * lanes + lane;
        let row = d * width_a;
        let column = d * width_b;
        if (results == 1u) {
          let y = kept_b(tile_b[column + cell.y / 4u])[cell.y % 4u];
          sums[0].x += kept_a(tile_a[row + cell.x / 4u])[cell.x % 4u] * y;
          continue;
        }
        let x = kept_a(tile_a[row + cell.x]);
        let y = kept_b(tile_b[column + cell.y]);
        sums += outer(x, y);
        if (results == 8u) {
          let below = kept_a(tile_a[row + cell.x + threads_y]);
          let right = kept_b(tile_b[column + cell.y + threads_x]);
          sums_right += outer(x, right);
          sums_below += outer(below, y);
          sums_last += outer(below, right);
        }
      }
      workgroupBarrier();
    }
  }
  let at = first + min(results, 4u) * cell;
  if (results == 1u) { store(p, at, group.z, sums[0]); return; }
  if (lanes > 1u) {
    store_lanes(p, 0u, at, group.z, sums[0], thread);
    store_lanes(p, 1u, at, group.z, sums[1], thread);
    store_lanes(p, 2u, at, group.z, sums[2], thread);
    store_lanes(p, 3u, at, group.z, sums[3], thread);
    return;
  }
  store_block(p, at, group.z, sums);
  if (results == 8u) {
    let far = 4u * vec2<u32>(threads_y, threads_x);
    store_block(p, at + vec2<u32>(0u, far.y), group.z, sums_right);
    store_block(p, at + vec2<u32>(far.x, 0u), group.z, sums_below);
    store_block(p, at + far, group.z, sums_last);
  }
}
