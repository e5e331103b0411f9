// The gate of a group of sites (method §1): p = softmax(z) over a site's experts, the K largest
// kept (ties to the lower index), renormalised to w, and u = w_i s_i h for each expert's columns. h
// (tokens, width) holds the down-projections, then from router_start the logits z. Table: per site
// first expert, experts, kept; then per expert first column, end column, scale (f32 bits). One
// thread a (token, site).
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> u: array<f32>;
struct Params { tokens: u32, sites: u32, width: u32, router_start: u32, experts: u32 }
@group(0) @binding(5) var<uniform> params: Params;

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
  let first = table[3u * site];
  let count = table[3u * site + 1u];
  let kept = table[3u * site + 2u];
  let z = token * params.width + params.router_start + first;
  let out = token * params.experts + first;
  var top = h[z];
  for (var e = 1u; e < count; e++) { top = max(top, h[z + e]); }
  var all = 0.0;
  for (var e = 0u; e < count; e++) { all += exp(h[z + e] - top); }
  // The kept experts in descending order; after the loop (last, last_e) is the least of them.
  var last = 3.4e38;
  var last_e = 0u;
  var sum = 0.0;
  for (var r = 0u; r < kept; r++) {
    var best = -3.4e38;
    var best_e = 0u;
    for (var e = 0u; e < count; e++) {
      let v = h[z + e];
      let after = v < last || (v == last && e > last_e && r > 0u);
      if (after && v > best) { best = v; best_e = e; }
    }
    last = best;
    last_e = best_e;
    sum += exp(best - top);
  }
  for (var e = 0u; e < count; e++) {
    let v = h[z + e];
    p[out + e] = exp(v - top) / all;
    var weight = 0.0;
    // A kept weight is never exactly zero: zero marks the others.
    if (v > last || (v == last && e <= last_e)) { weight = max(exp(v - top) / sum, 1.2e-38); }
    w[out + e] = weight;
    let entry = 3u * (params.sites + first + e);
    let scale = weight * bitcast<f32>(table[entry + 2u]);
    for (var c = table[entry]; c < table[entry + 1u]; c++) {
      u[token * params.router_start + c] = scale * h[token * params.width + c];
    }
  }
}
