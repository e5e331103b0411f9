// out_c = factor_c x_c for each column c of x (tokens, columns): what an adapter without gates makes of
// its down-projections, and the gradient of that.
// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
struct Params { elements: u32, columns: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.elements) { return; }
  out[i] = factor[i % params.columns] * x[i];
}
