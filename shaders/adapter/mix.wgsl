// u = w_i factor_c h_c for the columns c of each expert i (method §1); w_i is 1 where there are no
// gates. h (tokens, width), u (tokens, columns); the table is that of route.wgsl. One thread a
// (token, expert).
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read_write> u: array<f32>;
struct Params { tokens: u32, sites: u32, experts: u32, width: u32, columns: u32, gated: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.experts) { return; }
  let token = index / params.experts;
  let entry = 4u * params.sites + 3u * (index % params.experts);
  var weight = 1.0;
  if (params.gated != 0u) { weight = w[index]; }
  let to = token * params.columns;
  let start = token * params.width;
  for (var c = table[entry]; c < table[entry + 1u]; c++) {
    u[to + c] = weight * factor[c] * h[start + c];
  }
}
