// Appends keys or values to a cache: x (rows·seq_len, width) goes to cache (rows, capacity, width) at
// each token's position.
// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;
struct Params { tokens: u32, seq_len: u32, capacity: u32, width: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.width) { return; }
  let token = index / params.width;
  let row = token / params.seq_len;
  let position = positions[token];
  if (position < params.capacity) {
    cache[(row * params.capacity + position) * params.width + index % params.width] = x[index];
  }
}
