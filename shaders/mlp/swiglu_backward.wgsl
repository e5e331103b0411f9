// SwiGLU's gradients: d_up = dy · silu(gate), d_gate = dy · up · σ(gate)(1 + gate(1 − σ(gate))).
// uses: grid
@group(0) @binding(0) var<storage, read> gate: array<f32>;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_gate: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_up: array<f32>;
struct Params { n: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.n) { return; }
  let g = gate[i];
  let sigmoid = 1.0 / (1.0 + exp(-g));
  d_up[i] = dy[i] * g * sigmoid;
  d_gate[i] = dy[i] * up[i] * sigmoid * (1.0 + g * (1.0 - sigmoid));
}
