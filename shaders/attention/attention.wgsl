// Causal grouped attention with online softmax (Milakov & Gimelshein 2018; Dao 2022), keeping
// log-sum-exp in softmax.x. A query sees the keys of its document up to itself, of which there are
// its position + 1, or those of its window; a cache is laid out by position. One thread a query.
// `Head` and what is done with it are written for the head size.
// uses: grid, attention/keys
@group(0) @binding(0) var<storage, read> q: array<Head>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Head>; // (rows, capacity, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Head>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> o: array<Head>;
@group(0) @binding(5) var<storage, read_write> softmax: array<vec2<f32>>; // (rows, heads, seq_len)
struct Params {
  rows: u32,
  seq_len: u32,
  capacity: u32,
  heads: u32,
  kv_heads: u32,
  cached: u32,
  window: u32,
  first_group: u32,
  scale: f32,
}
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = params.first_group * threads + flat_index(grid);
  if (index >= params.rows * params.heads * params.seq_len) { return; }
  let t = index % params.seq_len;
  let head = (index / params.seq_len) % params.heads;
  let row = index / (params.seq_len * params.heads);
  let at = (row * params.seq_len + t) * params.heads + head;
  let kv = row * params.capacity * params.kv_heads + head / (params.heads / params.kv_heads);
  let position = positions[row * params.seq_len + t];
  let last = select(t, min(position, params.capacity - 1u), params.cached == 1u);
  let first = first_key(position, last);
  let query = q[at];
  var out = Head();
  var top = -3.4e38;
  var sum = 0.0;
  for (var j = first; j <= last; j++) {
    let key = kv + j * params.kv_heads;
    let s = params.scale * head_dot(query, k[key]);
    if (s > top) {
      let shrink = exp(top - s);
      sum *= shrink;
      out = head_times(out, shrink);
      top = s;
    }
    let e = exp(s - top);
    sum += e;
    out = head_plus(out, e, v[key]);
  }
  o[at] = head_over(out, sum);
  softmax[index] = vec2<f32>(top + log(sum), 0.0);
}
