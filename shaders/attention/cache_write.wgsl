// Appends keys or values to a cache: x (rows·time, width) goes to cache (rows, capacity, width) at
// each token's position.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;
struct Params { tokens: u32, time: u32, capacity: u32, width: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.width) { return; }
  let token = index / params.width;
  let row = token / params.time;
  let position = positions[token];
  if (position < params.capacity) {
    cache[(row * params.capacity + position) * params.width + index % params.width] = x[index];
  }
}
