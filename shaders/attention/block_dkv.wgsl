// Attention's gradients by key in blocks (Dao 2023, algorithm 2), as attention_dkv.wgsl says. A
// workgroup owns keys and reads each block of the group's queries that see them once, in order.
// uses: attention/gradients
@group(0) @binding(0) var<storage, read> q: array<Part>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Part>; // (rows, seq_len, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Part>;
@group(0) @binding(3) var<storage, read> d_o: array<Part>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> softmax: array<vec2<f32>>; // (rows, heads, seq_len)
@group(0) @binding(6) var<storage, read_write> d_k: array<Part>;
@group(0) @binding(7) var<storage, read_write> d_v: array<Part>;
struct Params {
  rows: u32,
  seq_len: u32,
  capacity: u32, // seq_len
  heads: u32,
  kv_heads: u32,
  window: u32,
  first_group: u32,
  scale: f32,
}
@group(0) @binding(8) var<uniform> params: Params;

const OTHERS = 2u * OWN; // where queries begin in memory; gradients follow them

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let queries = params.seq_len * SHARE;
  let j0 = (params.first_group + group.x) * OWN;
  let kv_head = group.y;
  let row = group.z;
  load_k(0u, OWN, row, kv_head, j0, thread);
  load_v(OWN, OWN, row, kv_head, j0, thread);
  let own = own_row(thread);
  let lane = thread % LANES;
  var key_sums = Sums();
  var value_sums = Sums();
  var unused = array<f32, ROWS>();
  for (var g0 = j0 * SHARE; g0 < queries; g0 += OTHER) {
    if (first_of(row, g0 / SHARE) >= j0 + OWN) { break; }
    load_q(OTHERS, OTHER, row, kv_head, g0, thread);
    load_d_o(OTHERS + OTHER, OTHER, row, kv_head, g0, thread);
    workgroupBarrier();
    let s = products(0u, OTHERS, thread);
    let dp = products(OWN, OTHERS + OTHER, thread);
    for (var n = 0u; n < COLUMNS; n++) {
      let column = lane + n * LANES;
      if (column >= OTHER) { continue; }
      let g = min(g0 + column, queries - 1u);
      let t = g / SHARE;
      let first = first_of(row, t);
      let kept = softmax[softmax_at(row, kv_head, g)];
      for (var r = 0u; r < ROWS; r++) {
        let j = j0 + own + r;
        let sees = g0 + column < queries && j <= t && j >= first;
        let p = select(0.0, exp(params.scale * s[r][n] - kept.x), sees);
        weights[(own + r) * PITCH + column] = p;
        weights[SECOND + (own + r) * PITCH + column] = p * (dp[r][n] - kept.y) * params.scale;
      }
    }
    workgroupBarrier();
    add_weighted(0u, OTHERS + OTHER, thread, &value_sums, &unused);
    add_weighted(SECOND, OTHERS, thread, &key_sums, &unused);
    workgroupBarrier();
  }
  for (var r = 0u; r < ROWS; r++) {
    let j = j0 + own + r;
    if (j >= params.seq_len) { continue; }
    let at = key_at(row, kv_head, j) * PARTS;
    for (var i = 0u; i < HELD; i++) {
      let c = lane + i * LANES;
      if (c < PARTS) {
        d_k[at + c] = key_sums[r][i];
        d_v[at + c] = value_sums[r][i];
      }
    }
  }
}
