// Sizes of a bank of GSVs (method §2), by argmax (ties to the lower index) or, with `sampled`,
// drawn from π = softmax(g) by a counter-based hash of (seed, pair, place). Index k means the size
// max(floor, k + 1), or k where sites can close. Sizes go to the table of adapter/gate.wgsl: that of
// vector v to `slot` + `stride`·v. Their places, which tell the draws apart, count per site
// the open experts and then each expert's rank: a bank has `each` vectors a site, the first at
// `first`. One thread a vector.
// uses: grid, random
@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> table: array<u32>;
struct Params {
  count: u32,
  length: u32,
  experts: u32,
  each: u32,
  first: u32,
  start: u32,
  floor: u32,
  closable: u32,
  sampled: u32,
  slot: u32,
  stride: u32,
}
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let vector = flat_index(grid);
  if (vector >= params.count) { return; }
  let at = vector * params.length;
  let site = params.start + (vector / params.each) * (params.experts + 1u);
  let place = site + params.first + vector % params.each;
  var chosen = 0u;
  for (var k = 1u; k < params.length; k++) { if (g[at + k] > g[at + chosen]) { chosen = k; } }
  if (params.sampled != 0u) {
    let top = g[at + chosen];
    var total = 0.0;
    for (var k = 0u; k < params.length; k++) { total += exp(g[at + k] - top); }
    let bits = mix(place ^ mix(step.number ^ mix(step.seed)));
    let reach = (f32(bits >> 8u) + 0.5) / 16777216.0 * total;
    var sum = exp(g[at] - top);
    chosen = 0u;
    while (chosen + 1u < params.length && sum <= reach) {
      chosen++;
      sum += exp(g[at + chosen] - top);
    }
  }
  let size = select(max(params.floor, chosen + 1u), chosen, params.closable != 0u);
  table[params.slot + params.stride * vector] = size;
}
