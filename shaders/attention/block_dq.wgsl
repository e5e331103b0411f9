// Attention's gradient by query in blocks (Dao 2023, algorithm 2), as attention_dq.wgsl says. A
// workgroup owns queries and reads each block of values, then of keys, once. softmax: (lse, delta).
// uses: attention/gradients
@group(0) @binding(0) var<storage, read> q: array<Part>; // (rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> k: array<Part>; // (rows, seq_len, kv_heads)
@group(0) @binding(2) var<storage, read> v: array<Part>;
@group(0) @binding(3) var<storage, read> o: array<Part>;
@group(0) @binding(4) var<storage, read> d_o: array<Part>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> softmax: array<vec2<f32>>; // (rows, heads, seq_len)
@group(0) @binding(7) var<storage, read_write> d_q: array<Part>;
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

var<workgroup> deltas: array<f32, OWN * LANES>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let queries = params.seq_len * SHARE;
  // The longest first.
  let g0 = ((queries + OWN - 1u) / OWN - 1u - params.first_group - group.x) * OWN;
  let kv_head = group.y;
  let row = group.z;
  load_q(0u, OWN, row, kv_head, g0, thread);
  load_d_o(OWN, OWN, row, kv_head, g0, thread);
  workgroupBarrier();
  let own = own_row(thread);
  let lane = thread % LANES;
  for (var r = 0u; r < ROWS; r++) {
    var delta = 0.0;
    let at = query_at(row, kv_head, min(g0 + own + r, queries - 1u)) * PARTS;
    for (var c = lane; c < PARTS; c += LANES) {
      delta += part_dot(o[at + c], memory[(OWN + own + r) * STRIDE + c]);
    }
    deltas[(own + r) * LANES + lane] = delta;
  }
  workgroupBarrier();
  var seen: array<vec2<u32>, ROWS>; // first and last key
  var kept = array<vec2<f32>, ROWS>();
  for (var r = 0u; r < ROWS; r++) {
    let g = g0 + own + r;
    seen[r] = vec2<u32>(1u, 0u); // none
    if (g >= queries) { continue; }
    seen[r] = vec2<u32>(first_of(row, g / SHARE), g / SHARE);
    kept[r].x = softmax[softmax_at(row, kv_head, g)].x;
    for (var i = 0u; i < LANES; i++) { kept[r].y += deltas[(own + r) * LANES + i]; }
    if (lane == 0u) { softmax[softmax_at(row, kv_head, g)].y = kept[r].y; }
  }
  var sums = Sums();
  var unused = array<f32, ROWS>();
  let end = (min(g0 + OWN, queries) - 1u) / SHARE / OTHER;
  for (var block = first_of(row, g0 / SHARE) / OTHER; block <= end; block++) {
    let j0 = block * OTHER;
    load_v(2u * OWN, OTHER, row, kv_head, j0, thread);
    workgroupBarrier();
    let dp = products(OWN, 2u * OWN, thread);
    workgroupBarrier();
    load_k(2u * OWN, OTHER, row, kv_head, j0, thread);
    workgroupBarrier();
    let s = products(0u, 2u * OWN, thread);
    for (var r = 0u; r < ROWS; r++) {
      for (var n = 0u; n < COLUMNS; n++) {
        let column = lane + n * LANES;
        if (column >= OTHER) { continue; }
        let sees = j0 + column >= seen[r].x && j0 + column <= seen[r].y;
        let p = select(0.0, exp(params.scale * s[r][n] - kept[r].x), sees);
        weights[(own + r) * PITCH + column] = p * (dp[r][n] - kept[r].y) * params.scale;
      }
    }
    workgroupBarrier();
    add_weighted(0u, 2u * OWN, thread, &sums, &unused);
    workgroupBarrier();
  }
  for (var r = 0u; r < ROWS; r++) {
    let g = g0 + own + r;
    if (g >= queries) { continue; }
    for (var i = 0u; i < HELD; i++) {
      let c = lane + i * LANES;
      if (c < PARTS) { d_q[query_at(row, kv_head, g) * PARTS + c] = sums[r][i]; }
    }
  }
}
