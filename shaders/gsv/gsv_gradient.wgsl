// ∂L/∂g of GSVs from ∂L/∂mask (method §2), added to `grad`. `paper` (survival 0): ∂L/∂σ of the open
// prefix's last entry is Σ_{i ≤ last} d_i σ_i, elsewhere closed·d_j, then through the sigmoid.
// `survival` (1): Σ_j d_j π_k ([k ≥ j] − P(size > j)), or [k > j] where sites can close, over j ≥
// floor. d has `length` − closable entries a vector. One thread a GSV.
// uses: grid
@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> d_masks: array<f32>;
@group(0) @binding(2) var<storage, read_write> grad: array<f32>;
struct Params {
  count: u32,
  length: u32,
  first_free: u32,
  closable: u32,
  survival: u32,
  closed: f32,
}
@group(0) @binding(3) var<uniform> params: Params;

fn sigmoid(v: f32) -> f32 { return 1.0 / (1.0 + exp(-v)); }

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let vector = flat_index(grid);
  if (vector >= params.count) { return; }
  let at = vector * params.length;
  let sizes = params.length - params.closable;
  let d = vector * sizes;
  var best = 0u;
  for (var k = 1u; k < params.length; k++) { if (g[at + k] > g[at + best]) { best = k; } }
  if (params.survival == 0u) {
    let last = max(best, max(params.first_free, 1u) - 1u);
    var slope = 0.0;
    for (var i = 0u; i <= last; i++) { slope += d_masks[d + i] * sigmoid(g[at + i]); }
    for (var j = 0u; j < params.length; j++) {
      let s = sigmoid(g[at + j]);
      grad[at + j] += select(params.closed * d_masks[d + j], slope, j == last) * s * (1.0 - s);
    }
    return;
  }
  var total = 0.0;
  for (var k = 0u; k < params.length; k++) { total += exp(g[at + k] - g[at + best]); }
  // Σ_j d_j P(size > j), then each entry's own share.
  var mean = 0.0;
  for (var j = params.first_free; j < sizes; j++) {
    var survives = 0.0;
    for (var k = j + params.closable; k < params.length; k++) {
      survives += exp(g[at + k] - g[at + best]);
    }
    mean += d_masks[d + j] * survives / total;
  }
  for (var k = 0u; k < params.length; k++) {
    var own = 0.0;
    for (var j = params.first_free; j < sizes; j++) {
      if (k >= j + params.closable) { own += d_masks[d + j]; }
    }
    grad[at + k] += exp(g[at + k] - g[at + best]) / total * (own - mean);
  }
}
