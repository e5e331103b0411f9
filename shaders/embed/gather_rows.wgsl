// Picks rows: y (count, width) = x[rows[i]], zero where rows[i] is 0xffffffff. With `scatter`, the
// way back: y[rows[i]] = x[i].
// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { count: u32, width: u32, scatter: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.count * params.width) { return; }
  let row = rows[index / params.width];
  let known = row != 0xffffffffu;
  let far = row * params.width + index % params.width;
  if (params.scatter == 0u) { y[index] = 0.0; if (known) { y[index] = x[far]; } }
  else if (known) { y[far] = x[index]; }
}
