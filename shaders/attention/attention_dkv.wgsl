// Attention's gradients by key: dK = scale Σ dS q, dV = Σ p dO over the queries of its document at
// or after the key, of every head of the group. softmax: (lse, delta) as attention_dq.wgsl leaves
// it. One thread a key.
// uses: grid, attention/keys
@group(0) @binding(0) var<storage, read> q: array<Head>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Head>; // (rows, seq_len, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Head>;
@group(0) @binding(3) var<storage, read> d_o: array<Head>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> softmax: array<vec2<f32>>; // (rows, heads, seq_len)
@group(0) @binding(6) var<storage, read_write> d_k: array<Head>;
@group(0) @binding(7) var<storage, read_write> d_v: array<Head>;
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
  if (index >= params.rows * params.kv_heads * params.seq_len) { return; }
  let t = index % params.seq_len;
  let kv_head = (index / params.seq_len) % params.kv_heads;
  let row = index / (params.seq_len * params.kv_heads);
  let at = (row * params.seq_len + t) * params.kv_heads + kv_head;
  let shared_by = params.heads / params.kv_heads;
  let key = k[at];
  let value = v[at];
  var key_sum = Head();
  var value_sum = Head();
  for (var head = kv_head * shared_by; head < (kv_head + 1u) * shared_by; head++) {
    for (var i = t; i < params.seq_len; i++) {
      if (first_key(positions[row * params.seq_len + i], i) > t) { break; }
      let query = q[(row * params.seq_len + i) * params.heads + head];
      let gradient = d_o[(row * params.seq_len + i) * params.heads + head];
      let saved = softmax[(row * params.heads + head) * params.seq_len + i];
      let p = exp(params.scale * head_dot(query, key) - saved.x);
      let ds = p * (head_dot(gradient, value) - saved.y) * params.scale;
      key_sum = head_plus(key_sum, ds, query);
      value_sum = head_plus(value_sum, p, gradient);
    }
  }
  d_k[at] = key_sum;
  d_v[at] = value_sum;
}
