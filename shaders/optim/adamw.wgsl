// AdamW (Loshchilov & Hutter 2019, alg. 2) as in PyTorch, on clipped gradients; zeroes the gradient
// for the next accumulation. Changes nothing but the gradient once `halt` is raised. Four elements
// a thread.
// uses: grid, statistics
@group(0) @binding(0) var<storage, read> statistics: array<f32>;
@group(0) @binding(1) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> grad: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> halt: array<u32>;
struct Params {
  quads: u32,
  beta1: f32,
  beta2: f32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  eps: f32,
}
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.quads) { return; }
  let g = grad[i] * statistics[CLIP];
  grad[i] = vec4<f32>();
  if (halt[0] != 0u) { return; }
  let m1 = params.beta1 * m[i] + params.one_minus_beta1 * g;
  let v1 = params.beta2 * v[i] + params.one_minus_beta2 * g * g;
  m[i] = m1;
  v[i] = v1;
  let decayed = value[i] * (1.0 - step.learning_rate * step.weight_decay);
  value[i] = decayed - step.learning_rate * (m1 / step.correction1) / (sqrt(v1 / step.correction2) + params.eps);
}
