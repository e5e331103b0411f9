// Causal grouped attention in blocks (FlashAttention-2: Dao 2023, arXiv 2307.08691, algorithm 1),
// with the keys that attention.wgsl says. A workgroup owns queries and reads each block of keys and
// values once. A block is softmaxed by its own maximum, then joined to those before it, so that the
// blocks can also be written apart, as `slices`, and joined by block_join.wgsl: bit for bit the same.
// Without slices o and log-sum-exp are written; with them, of each its sums and (maximum, sum).
// uses: attention/blocks
@group(0) @binding(0) var<storage, read> q: array<Part>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Part>; // (rows, capacity, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Part>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> o: array<Part>; // (slices, rows, seq_len, heads)
@group(0) @binding(5) var<storage, read_write> softmax: array<vec2<f32>>; // (slices, rows, heads, seq_len)
struct Params {
  rows: u32,
  seq_len: u32,
  capacity: u32,
  heads: u32,
  kv_heads: u32,
  cached: u32,
  window: u32,
  slices: u32, // 0: all keys
  first_group: u32,
  scale: f32,
}
@group(0) @binding(6) var<uniform> params: Params;

const NONE = -3.0e38;
var<workgroup> tops: array<f32, OWN * LANES>;

fn last_key(row: u32, t: u32) -> u32 {
  let cached = min(positions[row * params.seq_len + t], params.capacity - 1u);
  return select(t, cached, params.cached == 1u);
}

// Keys that query g sees, first and last.
fn keys_of(row: u32, g: u32) -> vec2<u32> {
  let last = last_key(row, g / SHARE);
  return vec2<u32>(first_key(positions[row * params.seq_len + g / SHARE], last), last);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let queries = params.seq_len * SHARE;
  // The longest first.
  let g0 = ((queries + OWN - 1u) / OWN - 1u - params.first_group - group.x) * OWN;
  let kv_head = group.y;
  let row = group.z % params.rows;
  let slice = group.z / params.rows;
  var block = keys_of(row, g0).x / OTHER;
  var end = keys_of(row, min(g0 + OWN, queries) - 1u).y / OTHER;
  if (params.slices > 0u) {
    if (slice < block || slice > end) { return; }
    block = slice;
    end = slice;
  }
  load_q(0u, OWN, row, kv_head, g0, thread);
  let own = own_row(thread);
  let lane = thread % LANES;
  var seen: array<vec2<u32>, ROWS>;
  var top: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    seen[r] = vec2<u32>(1u, 0u); // none
    if (g0 + own + r < queries) { seen[r] = keys_of(row, g0 + own + r); }
    top[r] = NONE;
  }
  var sum = array<f32, ROWS>();
  var out = Sums();
  for (; block <= end; block++) {
    let j0 = block * OTHER;
    load_k(OWN, OTHER, row, kv_head, j0, thread);
    workgroupBarrier();
    var s = products(0u, OWN, thread);
    for (var r = 0u; r < ROWS; r++) {
      var most = NONE;
      for (var n = 0u; n < COLUMNS; n++) {
        let column = lane + n * LANES;
        let j = j0 + column;
        let sees = column < OTHER && j >= seen[r].x && j <= seen[r].y;
        s[r][n] = select(NONE, params.scale * s[r][n], sees);
        most = max(most, s[r][n]);
      }
      tops[(own + r) * LANES + lane] = most;
    }
    workgroupBarrier();
    load_v(OWN, OTHER, row, kv_head, j0, thread);
    var most: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
      most[r] = NONE;
      for (var i = 0u; i < LANES; i++) { most[r] = max(most[r], tops[(own + r) * LANES + i]); }
      for (var n = 0u; n < COLUMNS; n++) {
        let e = select(0.0, exp(s[r][n] - most[r]), s[r][n] > NONE);
        if (lane + n * LANES < OTHER) { weights[(own + r) * PITCH + lane + n * LANES] = e; }
      }
    }
    workgroupBarrier();
    var block_sum = array<f32, ROWS>();
    var block_out = Sums();
    add_weighted(0u, OWN, thread, &block_out, &block_sum);
    for (var r = 0u; r < ROWS; r++) {
      let both = max(top[r], most[r]);
      let before = exp(top[r] - both);
      let here = exp(most[r] - both);
      top[r] = both;
      sum[r] = sum[r] * before + block_sum[r] * here;
      for (var i = 0u; i < HELD; i++) { out[r][i] = out[r][i] * before + block_out[r][i] * here; }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < ROWS; r++) {
    let g = g0 + own + r;
    if (g >= queries) { continue; }
    let written = slice * params.rows * params.heads * params.seq_len;
    let at = (written + query_at(row, kv_head, g)) * PARTS;
    let total = select(sum[r], 1.0, params.slices > 0u);
    for (var i = 0u; i < HELD; i++) {
      let c = lane + i * LANES;
      if (c < PARTS) { o[at + c] = out[r][i] / total; }
    }
    if (lane == 0u) {
      let whole = vec2<f32>(top[r] + log(sum[r]), 0.0);
      let kept = select(whole, vec2<f32>(top[r], sum[r]), params.slices > 0u);
      softmax[written + softmax_at(row, kv_head, g)] = kept;
    }
  }
}
