// Adds a micro-batch's Σ over sites of L_bal = E Σ_e f_e P_e (Switch form) into statistic 2, in a
// fixed order. `factors` holds each expert's E.
@group(0) @binding(0) var<storage, read> routing: array<f32>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
struct Params { total: u32 }
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var e = thread; e < params.total; e += 64u) {
    sum += factors[e] * routing[e] * routing[params.total + e];
  }
  sums[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) { statistics[2] += sums[0]; }
}
