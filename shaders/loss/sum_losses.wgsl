// Adds a micro-batch's losses and its count of loss-carrying tokens into statistics 0 and 1, in a
// fixed order; leaves the step's number as a sentinel in 5.
@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
struct Params { count: u32, vocab: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

var<workgroup> sums: array<f32, 64>;
var<workgroup> counts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  var count = 0.0;
  for (var i = thread; i < params.count; i += 64u) {
    sum += losses[i];
    count += select(0.0, 1.0, targets[i] < params.vocab);
  }
  sums[thread] = sum;
  counts[thread] = count;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
      counts[thread] += counts[thread + half];
    }
  }
  if (thread != 0u) { return; }
  statistics[0] += sums[0];
  statistics[1] += counts[0];
  statistics[5] = f32(step.number);
}
