// First half of the global norm: partial sums of squares, in a fixed order. x (4·quads), partials
// (128).
// uses: grid, reduce
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
struct Params { quads: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  var sum = 0.0;
  for (var i = flat_index(grid); i < params.quads; i += 128u * threads) { sum += dot(x[i], x[i]); }
  sum = workgroup_sum(grid.thread, sum);
  if (grid.thread == 0u) { partials[grid.group.x] = sum; }
}
