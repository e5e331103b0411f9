// Routing statistics of a group, padding left out: f_e = share of kept (token, slot) pairs, and P_e
// = mean p_e (Fedus et al. 2022, eq. 5–6). routing: f at first + e, P at `total` + first + e, the
// site's open experts at 2·total + first + e, and the number of real tokens at 3·total. A workgroup
// takes 8 experts, 8 tokens at a time.
// uses: lanes
@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> routing: array<f32>;
struct Params { tokens: u32, seq_len: u32, sites: u32, experts: u32, first: u32, total: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let e = group.x * 8u + thread % 8u;
  var sum = vec2<f32>();
  if (e < params.experts) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      if (token % params.seq_len < lengths[token / params.seq_len]) {
        let at = token * params.experts + e;
        sum += vec2<f32>(select(0.0, 1.0, w[at] > 0.0), p[at]);
      }
    }
  }
  sum = lane_sum(thread, sum);
  if (thread >= 8u || e >= params.experts) { return; }
  var seen = 0u;
  for (var row = 0u; row < params.tokens / params.seq_len; row++) {
    seen += min(lengths[row], params.seq_len);
  }
  var site = 0u;
  while (table[site] + table[site + 1u] <= e) { site += 4u; }
  let open = table[site + 2u];
  let tokens = f32(max(seen, 1u));
  let at = params.first + e;
  routing[at] = sum.x / (tokens * f32(max(1u, min(table[site + 3u], open))));
  routing[params.total + at] = sum.y / tokens;
  routing[2u * params.total + at] = f32(open);
  if (e == 0u) { routing[3u * params.total] = f32(seen); }
}
