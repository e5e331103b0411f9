// RMSNorm's input gradient: dx = (w ⊙ dy − x · Σ(w ⊙ dy ⊙ x)/(width · rms²)) / rms. The weight is
// frozen. Rows are reduced by lib/rows.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
struct Params { rows: u32, width: u32, accumulate: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let row = row_of(grid);
  let lane = lane_of(grid);
  let start = row * params.width;
  let end = select(0u, params.width, row < params.rows);
  var sum = 0.0;
  for (var c = lane; c < end; c += LANES) { sum += weight[c] * dy[start + c] * x[start + c]; }
  sum = row_sum(grid, sum);
  let inverse = inverse_rms[row];
  let scale = sum * inverse * inverse / f32(params.width);
  for (var c = lane; c < end; c += LANES) {
    let i = start + c;
    let v = inverse * (weight[c] * dy[i] - x[i] * scale);
    if (params.accumulate != 0u) { dx[i] += v; } else { dx[i] = v; }
  }
}
