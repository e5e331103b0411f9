// C = α·A·B (+ α₂·A₂·B₂) (+ bias), in tiles of C: a thread holds blocks of 4 × 4 of one, and steps
// of `depth` along K pass through workgroup memory. A is (M, K) by rows, else (K, M); B is (N, K) by
// rows, else (K, N), and packed (lib/packing); A₂ is (M, K₂) by rows, B₂ as B, in f32. Without a
// low-rank pair K₂ is 0, without a bias `has_bias`; what is bound there is not read. Each z has a
// slice of K and a C of its own. `a_quad` to `b2_quad` read four elements from one on; they and the
// types A to B2 are the caller's.
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> b: array<B>;
@group(0) @binding(2) var<storage, read> a2: array<A2>;
@group(0) @binding(3) var<storage, read> b2: array<B2>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
struct Params {
  m: u32, n: u32, k: u32,
  a_start: u32, lda: u32, b_start: u32, ldb: u32, c_start: u32, ldc: u32,
  alpha: f32, accumulate: u32, has_bias: u32, slice: u32,
  k2: u32, a2_start: u32, lda2: u32, b2_start: u32, ldb2: u32, alpha2: f32,
}
@group(0) @binding(6) var<uniform> params: Params;

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

// A step of A as [k][quad of rows], then of B as [k][quad of columns]; one quad more, so that those
// of a column lie in other banks.
override width_a: u32 = rows / 4 + 1;
override width_b: u32 = columns / 4 + 1;
override second: u32 = depth * width_a;
var<workgroup> tile: array<vec4<f32>, second + depth * width_b>;

// Whether an operand is stored by rows.
fn by_rows(right: bool, low_rank: bool) -> bool {
  return select(a_by_rows || low_rank, select(b_by_rows, b2_by_rows, low_rank), right);
}

// Where (outer, k) lies in an operand.
fn place(rows_first: bool, stride: u32, at: vec2<u32>) -> u32 {
  return select(at.y * stride + at.x, at.x * stride + at.y, rows_first);
}

// Four elements of an operand from (outer, k) on, as they are stored; zero from the limit on.
fn quad_of(right: bool, low_rank: bool, at: vec2<u32>, limit: vec2<u32>) -> vec4<f32> {
  if (any(at >= limit)) { return vec4<f32>(); }
  let rows_first = by_rows(right, low_rank);
  var quad: vec4<f32>;
  if (right && low_rank) {
    quad = b2_quad(params.b2_start + place(rows_first, params.ldb2, at));
  } else if (right) {
    quad = b_quad(params.b_start + place(rows_first, params.ldb, at));
  } else if (low_rank) {
    quad = params.alpha2 * a2_quad(params.a2_start + place(rows_first, params.lda2, at));
  } else {
    quad = params.alpha * a_quad(params.a_start + place(rows_first, params.lda, at));
  }
  let inside = select(limit - at, (limit - at).yx, rows_first).x; // elements before the limit
  return select(vec4<f32>(), quad, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(inside));
}

// Brings an operand's part of a step to workgroup memory, in blocks of 4 × 4 from block `e` on,
// which neighbouring threads read side by side. The step begins at `first` (outer, k).
fn load(right: bool, low_rank: bool, first: vec2<u32>, limit: vec2<u32>, e: u32) {
  let rows_first = by_rows(right, low_rank);
  let next = select(vec2<u32>(0u, 1u), vec2<u32>(1u, 0u), rows_first);
  let quads = select(rows, columns, right) / 4u;
  let deep = depth / 4u;
  let width = quads + 1u;
  for (var block = e; block < quads * deep; block += threads) {
    let by_columns = vec2<u32>(block % quads, block / quads);
    let to = select(by_columns, vec2<u32>(block / deep, block % deep), rows_first);
    let at = first + 4u * to;
    var v = mat4x4<f32>(
      quad_of(right, low_rank, at, limit),
      quad_of(right, low_rank, at + next, limit),
      quad_of(right, low_rank, at + 2u * next, limit),
      quad_of(right, low_rank, at + 3u * next, limit),
    );
    if (rows_first) { v = transpose(v); }
    let i = select(0u, second, right) + 4u * to.y * width + to.x;
    tile[i] = v[0];
    tile[i + width] = v[1];
    tile[i + 2u * width] = v[2];
    tile[i + 3u * width] = v[3];
  }
}

// x·yᵀ, a column of the matrix for each row.
fn outer(x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y);
}

fn store(row: u32, column: u32, z: u32, sums: vec4<f32>) {
  if (row >= params.m) { return; }
  for (var i = 0u; i < min(results, 4u) && column + i < params.n; i++) {
    let at = params.c_start + (z * params.m + row) * params.ldc + column + i;
    var v = sums[i];
    if (params.accumulate != 0u) { v += c[at]; }
    if (params.has_bias != 0u) { v += bias[column + i]; }
    c[at] = v;
  }
}

fn store_block(at: vec2<u32>, z: u32, sums: mat4x4<f32>) {
  store(at.x, at.y, z, sums[0]);
  store(at.x + 1u, at.y, z, sums[1]);
  store(at.x + 2u, at.y, z, sums[2]);
  store(at.x + 3u, at.y, z, sums[3]);
}

// Adds a row's sums of all lanes in order, and stores them.
fn store_lanes(row: u32, at: vec2<u32>, z: u32, part: vec4<f32>, thread: u32) {
  workgroupBarrier();
  tile[thread] = part;
  workgroupBarrier();
  if (thread / cells != row) { return; }
  var sum = vec4<f32>();
  for (var lane = 0u; lane < lanes; lane++) { sum += tile[lane * cells + thread % cells]; }
  store(at.x + row, at.y, z, sum);
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = group.xy * vec2<u32>(rows, columns);
  let cell = vec2<u32>(thread % cells / threads_x, thread % threads_x);
  let lane = select(0u, thread / cells, lanes > 1u);
  let start = group.z * params.slice;
  let end = min(params.k, start + params.slice);
  let steps = (end - start + depth - 1u) / depth; // and then those of the low-rank pair
  var sums = mat4x4<f32>();
  var sums_right = mat4x4<f32>(); // these three where a thread has 8 × 8
  var sums_below = mat4x4<f32>();
  var sums_last = mat4x4<f32>();
  for (var s = 0u; s < steps + (params.k2 + depth - 1u) / depth; s++) {
    let low_rank = s >= steps;
    let k = select(start + s * depth, (s - steps) * depth, low_rank);
    let stop = select(end, params.k2, low_rank);
    load(false, low_rank, vec2<u32>(first.x, k), vec2<u32>(params.m, stop), thread);
    // Of B the last threads first, which may have had no block of A.
    load(true, low_rank, vec2<u32>(first.y, k), vec2<u32>(params.n, stop), threads - 1u - thread);
    workgroupBarrier();
    for (var i = 0u; i < depth / lanes; i++) {
      let d = i * lanes + lane;
      let row = d * width_a;
      let column = second + d * width_b;
      if (results == 1u) {
        let y = tile[column + cell.y / 4u][cell.y % 4u];
        sums[0].x += tile[row + cell.x / 4u][cell.x % 4u] * y;
        continue;
      }
      let x = tile[row + cell.x];
      let y = tile[column + cell.y];
      sums += outer(x, y);
      if (results == 8u) {
        let below = tile[row + cell.x + threads_y];
        let right = tile[column + cell.y + threads_x];
        sums_right += outer(x, right);
        sums_below += outer(below, y);
        sums_last += outer(below, right);
      }
    }
    workgroupBarrier();
  }
  let at = first + min(results, 4u) * cell;
  if (results == 1u) { store(at.x, at.y, group.z, sums[0]); return; }
  if (lanes > 1u) {
    store_lanes(0u, at, group.z, sums[0], thread);
    store_lanes(1u, at, group.z, sums[1], thread);
    store_lanes(2u, at, group.z, sums[2], thread);
    store_lanes(3u, at, group.z, sums[3], thread);
    return;
  }
  store_block(at, group.z, sums);
  if (results == 8u) {
    let far = 4u * vec2<u32>(threads_y, threads_x);
    store_block(at + vec2<u32>(0u, far.y), group.z, sums_right);
    store_block(at + vec2<u32>(far.x, 0u), group.z, sums_below);
    store_block(at + far, group.z, sums_last);
  }
}
