// Rotary positions (lib/attention/turn) of q (tokens, heads, D) in place; and of k (tokens,
// kv_heads, D) into the cache (rows, capacity, kv_heads · D) at each token's position, where v goes as
// it is. k and v are not written; they may share a buffer with q.
// uses: grid, attention/turn
@group(0) @binding(0) var<storage, read> cosines: array<f32>;
@group(0) @binding(1) var<storage, read> sines: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> k: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> keys: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<f32>;
struct Params {
  tokens: u32,
  seq_len: u32,
  capacity: u32,
  heads: u32,
  kv_heads: u32,
  half_size: u32,
  positions: u32,
}
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let pair = pair_of(flat_index(grid));
  if (!pair.exists) { return; }
  let half = params.half_size;
  let i = pair.i;
  let head = pair.head;
  let token = pair.token;
  if (head < params.heads) {
    let at = (token * params.heads + head) * 2u * half + i;
    let x = turned(vec2<f32>(q[at], q[at + half]), token, i, 1.0);
    q[at] = x.x;
    q[at + half] = x.y;
    return;
  }
  if (position[token] >= params.capacity) { return; }
  let own = (head - params.heads) * 2u * half + i;
  let at = token * params.kv_heads * 2u * half + own;
  let row = token / params.seq_len * params.capacity + position[token];
  let to = row * params.kv_heads * 2u * half + own;
  let x = turned(vec2<f32>(k[at], k[at + half]), token, i, 1.0);
  keys[to] = x.x;
  keys[to + half] = x.y;
  values[to] = v[at];
  values[to + half] = v[at + half];
}
