// Adds Σ over sites of n Σ_e f_e P_e, n the open experts of the site (method §2), into statistic 2,
// in a fixed order; 0 for a closed site.
@group(0) @binding(0) var<storage, read> routing: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
struct Params { sites: u32, experts: u32 }
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  let total = params.sites * params.experts;
  var sum = 0.0;
  for (var e = thread; e < total; e += 64u) {
    sum += f32(sizes[(e / params.experts) * (params.experts + 1u)]) * routing[e] * routing[total + e];
  }
  sums[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) { statistics[2] += sums[0]; }
}
