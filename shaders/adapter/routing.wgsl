// Routing statistics of a group, padding left out: f_e = share of kept (token, slot) pairs, and P_e = mean p_e (Fedus et al. 2022, eq. 5–6).
// routing: f at start + e, P at `total` + start + e, and the number of real tokens at 2·total. One workgroup an expert.
@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> routing: array<f32>;
struct Params { tokens: u32, time: u32, sites: u32, experts: u32, start: u32, total: u32 }
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> chosen: array<f32, 64>;
var<workgroup> chance: array<f32, 64>;
var<workgroup> seen: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let e = group.x;
  var a = 0.0;
  var b = 0.0;
  var n = 0.0;
  for (var token = thread; token < params.tokens; token += 64u) {
    if (token % params.time < lengths[token / params.time]) {
      a += select(0.0, 1.0, w[token * params.experts + e] > 0.0);
      b += p[token * params.experts + e];
      n += 1.0;
    }
  }
  chosen[thread] = a;
  chance[thread] = b;
  seen[thread] = n;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      chosen[thread] += chosen[thread + half];
      chance[thread] += chance[thread + half];
      seen[thread] += seen[thread + half];
    }
  }
  if (thread != 0u) { return; }
  var kept = 1u;
  for (var s = 0u; s < params.sites; s++) {
    if (e >= table[3u * s] && e < table[3u * s] + table[3u * s + 1u]) { kept = table[3u * s + 2u]; }
  }
  let tokens = max(seen[0], 1.0);
  routing[params.start + e] = chosen[0] / (tokens * f32(kept));
  routing[params.total + params.start + e] = chance[0] / tokens;
  routing[2u * params.total] = seen[0];
}
