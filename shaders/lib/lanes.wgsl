// Sums over tokens by a workgroup of 64 threads: thread t belongs to column t mod 8, and the 8
// threads of a column have summed every 8th token each. Returns the column's whole sum to all of
// them, in a fixed order; all threads must call it.
var<workgroup> lanes: array<vec2<f32>, 64>;

fn lane_sum(thread: u32, value: vec2<f32>) -> vec2<f32> {
  lanes[thread] = value;
  workgroupBarrier();
  var sum = vec2<f32>();
  for (var lane = 0u; lane < 8u; lane++) { sum += lanes[lane * 8u + thread % 8u]; }
  return sum;
}
