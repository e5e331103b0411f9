// Inverted dropout: out = x · keep / (1 − p). The mask is a counter-based hash of (seed, step,
// micro-batch, input, index), so that recomputation and the backward repeat it. The backward is the
// same map, applied to the gradient.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
struct Params { n: u32, input: u32, accumulate: u32 }
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<uniform> step: Step;

// One round of the output permutation of PCG (O'Neill 2014) in its 32-bit form.
fn mix(v: u32) -> u32 {
  let state = v * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + thread;
  if (i >= params.n) { return; }
  let bits = mix(i ^ mix(params.input ^ mix(step.micro ^ mix(step.number ^ mix(step.seed)))));
  // 24 random bits against p.
  var v = 0.0;
  if (f32(bits >> 8u) >= step.dropout * 16777216.0) { v = x[i] / (1.0 - step.dropout); }
  if (params.accumulate != 0u) { out[i] += v; } else { out[i] = v; }
}
