// Routing statistics of the search, padding left out, as in adapter/routing: f_e = share of kept
// (token, slot) pairs among the open experts, P_e = mean p_e, where p is the softmax over the open
// ones. A workgroup takes 8 experts of the group, 8 tokens at a time.
@group(0) @binding(0) var<storage, read> gates: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> routing: array<f32>;
struct Params {
  tokens: u32,
  time: u32,
  experts: u32,
  all: u32,
  kept: u32,
  sizes_start: u32,
  start: u32,
  total: u32,
}
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let e = group.x * 8u + thread % 8u;
  var sum = vec2<f32>();
  if (e < params.all) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      if (token % params.time < lengths[token / params.time]) {
        let at = token * 2u * params.all + e;
        sum += vec2<f32>(select(0.0, 1.0, gates[at + params.all] > 0.0), gates[at]);
      }
    }
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread >= 8u || e >= params.all) { return; }
  sum = vec2<f32>();
  for (var lane = 0u; lane < 8u; lane++) { sum += sums[lane * 8u + thread]; }
  var seen = 0u;
  for (var row = 0u; row < params.tokens / params.time; row++) {
    seen += min(lengths[row], params.time);
  }
  let open = sizes[params.sizes_start + (e / params.experts) * (params.experts + 1u)];
  let tokens = f32(max(seen, 1u));
  routing[params.start + e] = sum.x / (tokens * f32(max(1u, min(params.kept, open))));
  routing[params.total + params.start + e] = sum.y / tokens;
  if (e == 0u) { routing[2u * params.total] = f32(seen); }
}
