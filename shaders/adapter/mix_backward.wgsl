// Gradients of mix.wgsl: dh_c = w_i factor_c du_c, and dw_i = Σ_c factor_c h_c du_c over an
// expert's columns. One thread a (token, expert).
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read_write> dh: array<f32>;
@group(0) @binding(6) var<storage, read_write> dw: array<f32>;
struct Params { tokens: u32, sites: u32, experts: u32, width: u32, columns: u32, gated: u32 }
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.experts) { return; }
  let token = index / params.experts;
  let entry = 4u * params.sites + 3u * (index % params.experts);
  var weight = 1.0;
  if (params.gated != 0u) { weight = w[index]; }
  let start = token * params.columns;
  let to = token * params.width;
  var sum = 0.0;
  for (var c = table[entry]; c < table[entry + 1u]; c++) {
    let d = factor[c] * du[start + c];
    sum += d * h[to + c];
    dh[to + c] = weight * d;
  }
  dw[index] = sum;
}
