// Inverted dropout: out = x · keep / (1 − p). The mask is a counter-based hash of (seed, step,
// micro-batch, input, index), so that recomputation and the backward repeat it. The backward is the
// same map, applied to the gradient.
// uses: grid, random
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
struct Params { n: u32, input: u32, accumulate: u32 }
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.n) { return; }
  let bits = mix(i ^ mix(params.input ^ mix(step.micro ^ mix(step.number ^ mix(step.seed)))));
  // 24 random bits against p.
  var v = 0.0;
  if (f32(bits >> 8u) >= step.dropout * 16777216.0) { v = x[i] / (1.0 - step.dropout); }
  if (params.accumulate != 0u) { out[i] += v; } else { out[i] = v; }
}
