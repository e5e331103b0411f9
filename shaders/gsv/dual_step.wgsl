// cost = [λ, share]: share = Σ expected · inverse, and with a budget λ ← max(0, λ + rate (share −
// budget)) (method §2). One workgroup.
@group(0) @binding(0) var<storage, read> expected: array<f32>;
@group(0) @binding(1) var<storage, read_write> cost: array<f32>;
struct Params { sites: u32, inverse: f32, rate: f32, budget: f32 }
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var s = thread; s < params.sites; s += 64u) { sum += expected[s]; }
  sums[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread != 0u) { return; }
  let share = sums[0] * params.inverse;
  cost[1] = share;
  cost[0] = max(0.0, cost[0] + params.rate * (share - params.budget));
}
