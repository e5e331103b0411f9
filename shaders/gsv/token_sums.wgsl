// Sums of the columns of x (tokens, columns) over tokens, in a fixed order. A workgroup takes 8
// columns, 8 tokens at a time.
// uses: lanes
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
struct Params { tokens: u32, columns: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let c = group.x * 8u + thread % 8u;
  var sum = 0.0;
  if (c < params.columns) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      sum += x[token * params.columns + c];
    }
  }
  sum = lane_sum(thread, vec2<f32>(sum, 0.0)).x;
  if (thread < 8u && c < params.columns) { out[c] = sum; }
}
