// ∂L/∂factor_c = Σ over tokens of w_i h_c du_c, in a fixed order: the gradient of gate.wgsl that is
// summed. A workgroup takes 8 columns, 8 tokens at a time.
// uses: grid, lanes
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> du: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_factor: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  width: u32,
  columns: u32,
  gated: u32,
  accumulate: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(grid: Grid) {
  let thread = grid.thread;
  let c = flat_group(grid) * 8u + thread % 8u;
  var expert = 0u;
  while (expert + 1u < params.experts && table[4u * params.sites + 3u * expert + 1u] <= c) {
    expert++;
  }
  var sum = 0.0;
  if (c < params.columns) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      var weight = 1.0;
      if (params.gated != 0u) { weight = w[token * params.experts + expert]; }
      sum += weight * du[token * params.columns + c] * h[token * params.width + c];
    }
  }
  sum = lane_sum(thread, vec2<f32>(sum, 0.0)).x;
  if (thread >= 8u || c >= params.columns) { return; }
  if (params.accumulate != 0u) { sum += d_factor[c]; }
  d_factor[c] = sum;
}
