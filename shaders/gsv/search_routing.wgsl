// Routing statistics of the search, padding left out, as in adapter/routing: f_e = share of kept (token, slot) pairs among the open experts,
// P_e = mean p_e, where p is the softmax over the open ones. One workgroup an expert of the group.
@group(0) @binding(0) var<storage, read> gates: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> routing: array<f32>;
struct Params { tokens: u32, time: u32, experts: u32, all: u32, kept: u32, sizes_start: u32, start: u32, total: u32 }
@group(0) @binding(4) var<uniform> params: Params;

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
      a += select(0.0, 1.0, gates[token * 2u * params.all + params.all + e] > 0.0);
      b += gates[token * 2u * params.all + e];
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
  let open = sizes[params.sizes_start + (e / params.experts) * (params.experts + 1u)];
  let tokens = max(seen[0], 1.0);
  routing[params.start + e] = chosen[0] / (tokens * f32(max(1u, min(params.kept, open))));
  routing[params.total + params.start + e] = chance[0] / tokens;
  routing[2u * params.total] = seen[0];
}
