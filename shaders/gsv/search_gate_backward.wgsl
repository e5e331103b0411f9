// Gradients of the gate during the search: dh and dz as in adapter/gate_backward, among open
// experts. Upper level: the balance loss is left out, and per token ∂L/∂mask of every expert is
// added: estimator `paper` (survival 0) w (dw − Σ w dw); `survival` (1) Σ_i dw_i Δ_{j,i} with the
// exact counterfactual gates (method §2), 0 below `first_free` and wherever j would not be kept. dh
// (tokens, ΣER + ΣE, and ΣE more for the upper level): columns, logits, expert masks. One thread a
// (token, site).
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> row_scale: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read> routing: array<f32>;
@group(0) @binding(6) var<storage, read> lengths: array<u32>;
@group(0) @binding(7) var<storage, read_write> dh: array<f32>;
struct Params {
  tokens: u32,
  time: u32,
  sites: u32,
  experts: u32,
  rank: u32,
  kept: u32,
  start: u32,
  scale: f32,
  closed: f32,
  upper: u32,
  survival: u32,
  first_free: u32,
  routing_start: u32,
  routing_tokens: u32,
}
@group(0) @binding(8) var<uniform> params: Params;
@group(0) @binding(9) var<uniform> step: Step;

const NONE = 0xffffffffu;

// Σ_i gate_i dw_i among the kept experts without `left` and with `joined`; 0 among none. z, w and
// dw are places in h, gates and dh.
fn value_among(z: u32, w: u32, dw: u32, left: u32, joined: u32) -> f32 {
  var top = -3.4e38;
  for (var e = 0u; e < params.experts; e++) {
    if (e == joined || (e != left && gates[w + e] > 0.0)) { top = max(top, h[z + e]); }
  }
  var sum = 0.0;
  var value = 0.0;
  for (var e = 0u; e < params.experts; e++) {
    if (e == joined || (e != left && gates[w + e] > 0.0)) {
      let share = exp(h[z + e] - top);
      sum += share;
      value += share * dh[dw + e];
    }
  }
  return value / max(sum, 1.0);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.sites) { return; }
  let site = index % params.sites;
  let token = index / params.sites;
  let all = params.sites * params.experts;
  let columns = all * params.rank;
  let size = params.start + site * (params.experts + 1u);
  let open = sizes[size];
  let z = token * (columns + all) + columns + site * params.experts;
  let out = token * (columns + all * (1u + params.upper));
  let dz = out + columns + site * params.experts;
  let p = token * 2u * all + site * params.experts;
  let w = p + all;
  let counts = params.upper == 0u && token % params.time < lengths[token / params.time];
  let balance = select(0.0, step.balance_scale * f32(open) / max(routing[params.routing_tokens], 1.0), counts);
  var mean_w = 0.0;
  var mean_p = 0.0;
  for (var e = 0u; e < params.experts; e++) {
    let first = (site * params.experts + e) * params.rank;
    let weight = gates[w + e];
    let rank = sizes[size + 1u + e];
    var dw = 0.0;
    for (var j = 0u; j < params.rank; j++) {
      let c = first + j;
      let factor = params.scale * select(params.closed, 1.0, j < rank) * row_scale[c] * du[token * columns + c];
      dw += factor * h[token * (columns + all) + c];
      dh[out + c] = weight * factor;
    }
    dh[dz + e] = dw;
    mean_w += weight * dw;
    mean_p += gates[p + e] * balance * routing[params.routing_start + site * params.experts + e];
  }
  if (params.upper != 0u && params.survival != 0u) {
    // The least kept expert, and the best open one that is not kept.
    var least = NONE;
    var next = NONE;
    for (var e = 0u; e < open; e++) {
      let v = h[z + e];
      if (gates[w + e] > 0.0) { if (least == NONE || v <= h[z + least]) { least = e; } }
      else if (next == NONE || v > h[z + next]) { next = e; }
    }
    if (open < params.kept) { least = NONE; }
    for (var e = 0u; e < params.experts; e++) {
      var mask = 0.0;
      if (e >= params.first_free) {
        if (e < open) { if (gates[w + e] > 0.0) { mask = mean_w - value_among(z, w, dz, e, next); } }
        else if (least == NONE || h[z + e] > h[z + least]) { mask = value_among(z, w, dz, least, e) - mean_w; }
      }
      dh[dz + all + e] = mask;
    }
  }
  for (var e = 0u; e < params.experts; e++) {
    let through = gates[w + e] * (dh[dz + e] - mean_w);
    if (params.upper != 0u && params.survival == 0u) { dh[dz + all + e] = through; }
    dh[dz + e] = through + gates[p + e] * (balance * routing[params.routing_start + site * params.experts + e] - mean_p);
  }
}
