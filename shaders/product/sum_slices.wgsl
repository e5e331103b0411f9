// C = Σ over slices of K of its parts (slices, M, N), in order, added to C where it accumulates.
// uses: grid
@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;
struct Params { m: u32, n: u32, slices: u32, c_start: u32, ldc: u32, accumulate: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  let size = params.m * params.n;
  if (i >= size) { return; }
  var sum = 0.0;
  for (var s = 0u; s < params.slices; s++) { sum += parts[s * size + i]; }
  let at = params.c_start + (i / params.n) * params.ldc + i % params.n;
  if (params.accumulate != 0u) { sum += c[at]; }
  c[at] = sum;
}
