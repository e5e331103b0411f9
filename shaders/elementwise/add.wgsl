// out = x + y, or out += x where `accumulate` is set (y is then not read).
// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
struct Params { n: u32, accumulate: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.n) { return; }
  if (params.accumulate != 0u) { out[i] += x[i]; } else { out[i] = x[i] + y[i]; }
}
