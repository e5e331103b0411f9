// Inverted dropout of x (tokens, width): out = x · keep / (1 − p). The mask is a counter-based hash of
// (seed, step, micro-batch, input, row, position in the row, channel), so that recomputation and the
// backward repeat it, and the layout of the rows does not matter. `places` has each token's row and
// position. The backward is the same map, applied to the gradient.
// uses: grid, random
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
struct Params { n: u32, width: u32, input: u32, accumulate: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.n) { return; }
  let token = i / params.width;
  let stream = mix(params.input ^ mix(step.micro ^ mix(step.number ^ mix(step.seed))));
  let place = mix(places[2u * token + 1u] ^ mix(places[2u * token] ^ stream));
  let bits = mix((i % params.width) ^ place);
  // 24 random bits against p.
  var v = 0.0;
  if (f32(bits >> 8u) >= step.dropout * 16777216.0) { v = x[i] / (1.0 - step.dropout); }
  if (params.accumulate != 0u) { out[i] += v; } else { out[i] = v; }
}
