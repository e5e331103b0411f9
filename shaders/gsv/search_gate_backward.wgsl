// Gradients of the gate during the search: dh and dz as in adapter/gate_backward, among open experts; and per token ∂L/∂mask of every expert:
// estimator `paper` (0) w (dw − Σ w dw), `survival` (1) Σ_i dw_i Δ_{j,i} with the exact counterfactual gates (method §2), 0 below `floor`.
// dh (tokens, ΣER + 2·ΣE): columns, logits, expert masks. The balance loss gives nothing to the masks. One thread a (token, site).
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> row_scale: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read> routing: array<f32>;
@group(0) @binding(6) var<storage, read> lengths: array<u32>;
@group(0) @binding(7) var<storage, read_write> dh: array<f32>;
struct Params { tokens: u32, time: u32, sites: u32, experts: u32, rank: u32, kept: u32, start: u32, scale: f32, closed: f32, survival: u32, first_free: u32, routing_start: u32, routing_tokens: u32 }
@group(0) @binding(8) var<uniform> params: Params;
@group(0) @binding(9) var<uniform> step: Step;

// Σ_i gate_i(S′) dw_i, where S′ is the open prefix with expert `changed` put in or left out. z and dw are places in h and dh.
fn value_among(z: u32, dw: u32, open: u32, changed: u32, included: bool) -> f32 {
  var top = -3.4e38;
  var members = 0u;
  for (var e = 0u; e < params.experts; e++) {
    if (select(e < open, included, e == changed)) { top = max(top, h[z + e]); members++; }
  }
  var last = 3.4e38;
  var last_e = 0u;
  var sum = 0.0;
  var value = 0.0;
  for (var r = 0u; r < min(params.kept, members); r++) {
    var best = -3.4e38;
    var best_e = 0u;
    for (var e = 0u; e < params.experts; e++) {
      let v = h[z + e];
      let after = v < last || (v == last && e > last_e && r > 0u);
      if (select(e < open, included, e == changed) && after && v > best) { best = v; best_e = e; }
    }
    last = best;
    last_e = best_e;
    sum += exp(best - top);
    value += exp(best - top) * dh[dw + best_e];
  }
  return select(0.0, value / max(sum, 1.2e-38), members > 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.sites) { return; }
  let site = index % params.sites;
  let token = index / params.sites;
  let all = params.sites * params.experts;
  let columns = all * params.rank;
  let size = params.start + site * (params.experts + 1u);
  let open = sizes[size];
  let z = token * (columns + all) + columns + site * params.experts;
  let out = token * (columns + 2u * all);
  let dz = out + columns + site * params.experts;
  let p = token * 2u * all + site * params.experts;
  let real = token % params.time < lengths[token / params.time];
  let balance = select(0.0, step.balance_scale * f32(open) / max(routing[params.routing_tokens], 1.0), real);
  var mean_w = 0.0;
  var mean_p = 0.0;
  for (var e = 0u; e < params.experts; e++) {
    let first = (site * params.experts + e) * params.rank;
    let weight = gates[p + all + e];
    var dw = 0.0;
    for (var j = 0u; j < params.rank; j++) {
      let c = first + j;
      let factor = params.scale * select(params.closed, 1.0, j < sizes[size + 1u + e]) * row_scale[c] * du[token * columns + c];
      dw += factor * h[token * (columns + all) + c];
      dh[out + c] = weight * factor;
    }
    dh[dz + e] = dw;
    mean_w += weight * dw;
    mean_p += gates[p + e] * balance * routing[params.routing_start + site * params.experts + e];
  }
  for (var e = 0u; e < params.experts; e++) {
    var mask = gates[p + all + e] * (dh[dz + e] - mean_w);
    if (params.survival != 0u) {
      mask = 0.0;
      if (e >= params.first_free) { mask = value_among(z, dz, open, e, true) - value_among(z, dz, open, e, false); }
    }
    dh[dz + all + e] = mask;
  }
  for (var e = 0u; e < params.experts; e++) {
    let from_balance = gates[p + e] * (balance * routing[params.routing_start + site * params.experts + e] - mean_p);
    dh[dz + e] = gates[p + all + e] * (dh[dz + e] - mean_w) + from_balance;
  }
}
