// C = α·A·B (+ α₂·A₂·B₂) (+ bias), in tiles of C: a thread holds 4 × 4 of one, and slices of
// `depth` along K pass through workgroup memory. A is (M, K) by rows, else (K, M); B is (N, K) by
// rows, else (K, N), and packed (lib/packing); A₂ is (M, K₂) by rows, B₂ as B, in f32. Without a
// low-rank pair K₂ is 0, without a bias `has_bias`; what is bound there is not read.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> a2: array<f32>;
@group(0) @binding(3) var<storage, read> b2: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_start: u32,
  lda: u32,
  b_start: u32,
  ldb: u32,
  c_start: u32,
  ldc: u32,
  alpha: f32,
  accumulate: u32,
  k2: u32,
  a2_start: u32,
  lda2: u32,
  b2_start: u32,
  ldb2: u32,
  alpha2: f32,
  has_bias: u32,
}
@group(0) @binding(6) var<uniform> params: Params;

override threads_x: u32 = 16;
override threads_y: u32 = 16;
override depth: u32 = 16;
override a_by_rows: bool = true;
override b_by_rows: bool = true;
override b2_by_rows: bool = true;
override b_by_fours: bool = false; // B is read four elements at a time, as blocks must be

override threads: u32 = threads_x * threads_y;
override rows: u32 = 4 * threads_y;    // of a tile
override columns: u32 = 4 * threads_x;

var<workgroup> tile_a: array<f32, depth * rows>;    // [k][row]
var<workgroup> tile_b: array<f32, depth * columns>; // [k][column]

fn word(i: u32) -> u32 { return b[i]; }

// Element e of a slice as (outer, k), so that neighbouring threads read neighbouring elements.
fn split(by_rows: bool, e: u32, width: u32) -> vec2<u32> {
  return select(vec2<u32>(e % width, e / width), vec2<u32>(e / depth, e % depth), by_rows);
}

// Where (outer, k) lies in an operand.
fn place(by_rows: bool, stride: u32, at: vec2<u32>) -> u32 {
  return select(at.y * stride + at.x, at.x * stride + at.y, by_rows);
}

fn left(low_rank: bool, at: vec2<u32>) -> f32 {
  if (low_rank) { return params.alpha2 * a2[params.a2_start + place(true, params.lda2, at)]; }
  return params.alpha * a[params.a_start + place(a_by_rows, params.lda, at)];
}

fn right(low_rank: bool, at: vec2<u32>) -> f32 {
  if (low_rank) { return b2[params.b2_start + place(b2_by_rows, params.ldb2, at)]; }
  return element(params.b_start + place(b_by_rows, params.ldb, at));
}

// Brings the slices that begin at `first` (row, column) and k to workgroup memory, zero outside.
fn load(low_rank: bool, first: vec2<u32>, k: u32, end: u32, thread: u32) {
  for (var e = thread; e < rows * depth; e += threads) {
    let to = split(a_by_rows || low_rank, e, rows);
    let at = vec2<u32>(first.x, k) + to;
    var v = 0.0;
    if (at.x < params.m && at.y < end) { v = left(low_rank, at); }
    tile_a[to.y * rows + to.x] = v;
  }
  if (b_by_fours && !low_rank) {
    for (var e = 4u * thread; e < columns * depth; e += 4u * threads) {
      let to = split(b_by_rows, e, columns);
      let at = vec2<u32>(first.y, k) + to;
      var v = vec4<f32>();
      if (at.x < params.n && at.y < end) {
        v = weights4((params.b_start + place(b_by_rows, params.ldb, at)) / 4u);
      }
      let stride = select(1u, columns, b_by_rows);
      for (var i = 0u; i < 4u; i++) { tile_b[to.y * columns + to.x + i * stride] = v[i]; }
    }
    return;
  }
  for (var e = thread; e < columns * depth; e += threads) {
    let to = split(select(b_by_rows, b2_by_rows, low_rank), e, columns);
    let at = vec2<u32>(first.y, k) + to;
    var v = 0.0;
    if (at.x < params.n && at.y < end) { v = right(low_rank, at); }
    tile_b[to.y * columns + to.x] = v;
  }
}

// The sums of a thread, a column of the matrix for each of its rows, with a slice added.
fn added(before: mat4x4<f32>, cell: vec2<u32>) -> mat4x4<f32> {
  var sums = before;
  for (var d = 0u; d < depth; d++) {
    let x = d * rows + cell.x;
    let y = d * columns + cell.y;
    let w = vec4<f32>(tile_b[y], tile_b[y + 1u], tile_b[y + 2u], tile_b[y + 3u]);
    sums[0] += tile_a[x] * w;
    sums[1] += tile_a[x + 1u] * w;
    sums[2] += tile_a[x + 2u] * w;
    sums[3] += tile_a[x + 3u] * w;
  }
  return sums;
}

fn store(row: u32, column: u32, sums: vec4<f32>) {
  if (row >= params.m) { return; }
  for (var i = 0u; i < 4u && column + i < params.n; i++) {
    let at = params.c_start + row * params.ldc + column + i;
    var v = sums[i];
    if (params.accumulate != 0u) { v += c[at]; }
    if (params.has_bias != 0u) { v += bias[column + i]; }
    c[at] = v;
  }
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = group.xy * vec2<u32>(rows, columns);
  let cell = 4u * vec2<u32>(thread / threads_x, thread % threads_x);
  var sums = mat4x4<f32>();
  for (var k = 0u; k < params.k; k += depth) {
    load(false, first, k, params.k, thread);
    workgroupBarrier();
    sums = added(sums, cell);
    workgroupBarrier();
  }
  for (var k = 0u; k < params.k2; k += depth) {
    load(true, first, k, params.k2, thread);
    workgroupBarrier();
    sums = added(sums, cell);
    workgroupBarrier();
  }
  let at = first + cell;
  store(at.x, at.y, sums[0]);
  store(at.x + 1u, at.y, sums[1]);
  store(at.x + 2u, at.y, sums[2]);
  store(at.x + 3u, at.y, sums[3]);
}
