// Attention's gradient by query: delta = Σ dO ⊙ O, p = exp(s − lse), dS = p (dO·v − delta), dQ =
// scale Σ dS k, over the keys that attention.wgsl says. softmax: (lse, delta). One thread a query.
// uses: grid, attention/keys
@group(0) @binding(0) var<storage, read> q: array<Head>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Head>; // (rows, seq_len, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Head>;
@group(0) @binding(3) var<storage, read> o: array<Head>;
@group(0) @binding(4) var<storage, read> d_o: array<Head>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> softmax: array<vec2<f32>>; // (rows, heads, seq_len)
@group(0) @binding(7) var<storage, read_write> d_q: array<Head>;
struct Params {
  rows: u32,
  seq_len: u32,
  heads: u32,
  kv_heads: u32,
  window: u32,
  first_group: u32,
  scale: f32,
}
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = params.first_group * threads + flat_index(grid);
  if (index >= params.rows * params.heads * params.seq_len) { return; }
  let t = index % params.seq_len;
  let head = (index / params.seq_len) % params.heads;
  let row = index / (params.seq_len * params.heads);
  let at = (row * params.seq_len + t) * params.heads + head;
  let kv = row * params.seq_len * params.kv_heads + head / (params.heads / params.kv_heads);
  let first = first_key(positions[row * params.seq_len + t], t);
  let query = q[at];
  let gradient = d_o[at];
  let delta = head_dot(gradient, o[at]);
  let log_sum = softmax[index].x;
  softmax[index].y = delta;
  var sum = Head();
  for (var j = first; j <= t; j++) {
    let key = k[kv + j * params.kv_heads];
    let s = params.scale * head_dot(query, key);
    let dp = head_dot(gradient, v[kv + j * params.kv_heads]);
    let ds = exp(s - log_sum) * (dp - delta) * params.scale;
    sum = head_plus(sum, ds, key);
  }
  d_q[at] = sum;
}
