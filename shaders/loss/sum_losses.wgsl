// Adds a micro-batch's losses and its count of loss-carrying tokens into the statistics, in a fixed
// order; leaves the step's number as a sentinel.
// uses: grid, reduce, statistics
@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
struct Params { count: u32, vocab: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  var count = 0.0;
  for (var i = thread; i < params.count; i += threads) {
    sum += losses[i];
    count += select(0.0, 1.0, targets[i] < params.vocab);
  }
  sum = workgroup_sum(thread, sum);
  count = workgroup_sum(thread, count);
  if (thread != 0u) { return; }
  statistics[CROSS_ENTROPY] += sum;
  statistics[TOKENS] += count;
  statistics[SENTINEL] = f32(step.number);
}
