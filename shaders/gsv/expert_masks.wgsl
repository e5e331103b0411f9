// ∂L/∂mask of every expert, per token, from ∂L/∂w (method §2). Estimator `paper` (survival 0): w (dw
// − Σ w dw). `survival` (1): Σ_i dw_i Δ_{j,i} with the exact counterfactual gates, 0 below
// `first_free` and wherever j would not be kept. z lies in h (tokens, width) from column `start`;
// the table is that of adapter/gate.wgsl. One thread a (token, site).
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> dw: array<f32>;
@group(0) @binding(4) var<storage, read_write> masks: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  width: u32,
  start: u32,
  survival: u32,
  first_free: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

const NONE = 0xffffffffu;

// Σ_i gate_i dw_i among the kept ones of `count` experts without `left` and with `joined`; 0 among
// none. z and gate are places in h and in w, dw.
fn value_among(z: u32, gate: u32, count: u32, left: u32, joined: u32) -> f32 {
  var top = -3.4e38;
  for (var e = 0u; e < count; e++) {
    if (e == joined || (e != left && w[gate + e] > 0.0)) { top = max(top, h[z + e]); }
  }
  var sum = 0.0;
  var value = 0.0;
  for (var e = 0u; e < count; e++) {
    if (e == joined || (e != left && w[gate + e] > 0.0)) {
      let share = exp(h[z + e] - top);
      sum += share;
      value += share * dw[gate + e];
    }
  }
  return value / max(sum, 1.0);
}

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.sites) { return; }
  let site = 4u * (index % params.sites);
  let token = index / params.sites;
  let count = table[site + 1u];
  let open = table[site + 2u];
  let z = token * params.width + params.start + table[site];
  let gate = token * params.experts + table[site];
  var mean = 0.0;
  for (var e = 0u; e < count; e++) { mean += w[gate + e] * dw[gate + e]; }
  if (params.survival == 0u) {
    for (var e = 0u; e < count; e++) { masks[gate + e] = w[gate + e] * (dw[gate + e] - mean); }
    return;
  }
  // The least kept expert, and the best open one that is not kept.
  var least = NONE;
  var next = NONE;
  for (var e = 0u; e < open; e++) {
    let v = h[z + e];
    if (w[gate + e] > 0.0) {
      if (least == NONE || v <= h[z + least]) { least = e; }
    } else if (next == NONE || v > h[z + next]) {
      next = e;
    }
  }
  if (open < table[site + 3u]) { least = NONE; }
  for (var e = 0u; e < count; e++) {
    var mask = 0.0;
    if (e >= params.first_free) {
      if (e < open) {
        if (w[gate + e] > 0.0) { mask = mean - value_among(z, gate, count, e, next); }
      } else if (least == NONE || h[z + e] > h[z + least]) {
        mask = value_among(z, gate, count, least, e) - mean;
      }
    }
    masks[gate + e] = mask;
  }
}
