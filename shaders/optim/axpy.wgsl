// out += factor · x. `rule` says what else the factor holds: 0 nothing, 1 ξ = step.learning_rate, 2
// ε = 0.01 / ‖v‖ (0.01 where v = 0), 3 ξ / (2ε), ‖v‖ being the noted norm: the bilevel step of
// method §3 without a readback. Four elements a thread.
// uses: grid, statistics
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
struct Params { quads: u32, rule: u32, factor: f32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.quads) { return; }
  let norm = statistics[GRAD_NORM];
  let epsilon = select(0.01 / norm, 0.01, norm == 0.0);
  var factor = params.factor;
  if (params.rule == 1u) { factor *= step.learning_rate; }
  if (params.rule == 2u) { factor *= epsilon; }
  if (params.rule == 3u) { factor *= step.learning_rate / (2.0 * epsilon); }
  out[i] += factor * x[i];
}
