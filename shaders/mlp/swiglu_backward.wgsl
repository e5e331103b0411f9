// SwiGLU's gradients: d_up = dy · silu(gate), d_gate = dy · up · σ(gate)(1 + gate(1 − σ(gate))).
@group(0) @binding(0) var<storage, read> gate: array<f32>;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_gate: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_up: array<f32>;
struct Params { n: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + thread;
  if (i >= params.n) { return; }
  let g = gate[i];
  let sigmoid = 1.0 / (1.0 + exp(-g));
  d_up[i] = dy[i] * g * sigmoid;
  d_gate[i] = dy[i] * up[i] * sigmoid * (1.0 + g * (1.0 - sigmoid));
}
