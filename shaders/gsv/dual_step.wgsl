// cost = [λ, share]: share = Σ expected · inverse, and with a budget λ ← max(0, λ + rate (share −
// budget)) (method §2). One workgroup.
// uses: grid, reduce
@group(0) @binding(0) var<storage, read> expected: array<f32>;
@group(0) @binding(1) var<storage, read_write> cost: array<f32>;
struct Params { sites: u32, inverse: f32, rate: f32, budget: f32 }
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var s = thread; s < params.sites; s += threads) { sum += expected[s]; }
  let share = workgroup_sum(thread, sum) * params.inverse;
  if (thread != 0u) { return; }
  cost[1] = share;
  cost[0] = max(0.0, cost[0] + params.rate * (share - params.budget));
}
