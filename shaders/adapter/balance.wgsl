// Adds a micro-batch's Σ over sites of L_bal = n Σ_e f_e P_e (Switch form), n the open experts of
// the site, into statistic 2, in a fixed order. One workgroup.
@group(0) @binding(0) var<storage, read> routing: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
struct Params { total: u32 }
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var e = thread; e < params.total; e += 64u) {
    sum += routing[2u * params.total + e] * routing[e] * routing[params.total + e];
  }
  sums[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) { statistics[2] += sums[0]; }
}
