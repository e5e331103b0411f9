// RMSNorm (Zhang & Sennrich 2019): y = x · w / rms(x), keeping 1/rms for the backward. x, y (rows,
// width), weight (width). Rows are reduced by lib/rows.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> inverse_rms: array<f32>;
struct Params { rows: u32, width: u32, eps: f32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let row = row_of(grid);
  let lane = lane_of(grid);
  let start = row * params.width;
  let end = select(0u, params.width, row < params.rows);
  var sum = 0.0;
  for (var c = lane; c < end; c += LANES) { sum += x[start + c] * x[start + c]; }
  sum = row_sum(grid, sum);
  let inverse = 1.0 / sqrt(sum / f32(params.width) + params.eps);
  for (var c = lane; c < end; c += LANES) { y[start + c] = x[start + c] * inverse * weight[c]; }
  if (lane == 0u && row < params.rows) { inverse_rms[row] = inverse; }
}
