// Rotary positions (lib/attention/turn) in place: q (tokens, heads, D), k (tokens, kv_heads, D).
// uses: grid, attention/turn
@group(0) @binding(0) var<storage, read> cosines: array<f32>;
@group(0) @binding(1) var<storage, read> sines: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> k: array<f32>;
struct Params {
  tokens: u32,
  heads: u32,
  kv_heads: u32,
  half_size: u32,
  positions: u32,
  direction: f32,
}
@group(0) @binding(5) var<uniform> params: Params;

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
    let x = turned(vec2<f32>(q[at], q[at + half]), token, i, params.direction);
    q[at] = x.x;
    q[at + half] = x.y;
  } else {
    let at = (token * params.kv_heads + head - params.heads) * 2u * half + i;
    let x = turned(vec2<f32>(k[at], k[at + half]), token, i, params.direction);
    k[at] = x.x;
    k[at + half] = x.y;
  }
}
