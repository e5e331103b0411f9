// The gate during the search (method §2): softmax and top-k among a site's first `open` experts, u
// = w s m e h with the rank mask m (1, or `closed` beyond an expert's rank) and the trainable row
// scale e. Every site has `experts` experts of rank `rank`. gates (tokens, 2·ΣE): p, then w. One
// thread a (token, site).
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> row_scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
@group(0) @binding(4) var<storage, read_write> u: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  rank: u32,
  kept: u32,
  start: u32,
  scale: f32,
  closed: f32,
}
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
  let all = params.sites * params.experts;
  let columns = all * params.rank;
  let width = columns + all;
  let size = params.start + site * (params.experts + 1u);
  let open = sizes[size];
  let z = token * width + columns + site * params.experts;
  let p = token * 2u * all + site * params.experts;
  var top = -3.4e38;
  for (var e = 0u; e < open; e++) { top = max(top, h[z + e]); }
  var total = 0.0;
  for (var e = 0u; e < open; e++) { total += exp(h[z + e] - top); }
  var last = 3.4e38;
  var last_e = 0u;
  var sum = 0.0;
  for (var r = 0u; r < min(params.kept, open); r++) {
    var best = -3.4e38;
    var best_e = 0u;
    for (var e = 0u; e < open; e++) {
      let v = h[z + e];
      let after = v < last || (v == last && e > last_e && r > 0u);
      if (after && v > best) { best = v; best_e = e; }
    }
    last = best;
    last_e = best_e;
    sum += exp(best - top);
  }
  for (var e = 0u; e < params.experts; e++) {
    let v = h[z + e];
    let is_open = e < open;
    var weight = 0.0;
    if (is_open && (v > last || (v == last && e <= last_e))) {
      weight = max(exp(v - top) / sum, 1.2e-38);
    }
    gates[p + e] = select(0.0, exp(v - top) / total, is_open);
    gates[p + all + e] = weight;
    let first = (site * params.experts + e) * params.rank;
    for (var j = 0u; j < params.rank; j++) {
      let c = first + j;
      let row_mask = select(params.closed, 1.0, j < sizes[size + 1u + e]);
      u[token * columns + c] = weight * params.scale * row_mask * row_scale[c] * h[token * width + c];
    }
  }
}
