// Adds a micro-batch's Σ over sites of L_bal = n Σ_e f_e P_e (Switch form), n the open experts of
// the site, into the statistics, in a fixed order. One workgroup.
// uses: grid, reduce, statistics
@group(0) @binding(0) var<storage, read> routing: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
struct Params { total: u32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var e = thread; e < params.total; e += threads) {
    sum += routing[2u * params.total + e] * routing[e] * routing[params.total + e];
  }
  sum = workgroup_sum(thread, sum);
  if (thread == 0u) { statistics[BALANCE] += sum; }
}
