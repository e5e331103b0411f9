// Attention in blocks: a workgroup owns OWN rows and walks over blocks of OTHER rows, both in its
// memory. A thread computes ROWS × COLUMNS products of own and other rows, and HELD parts of sums
// for its ROWS own rows, which LANES threads share. The sizes, `Part` (some elements of a head) and
// `part_dot` are written for the head size. Queries of a row whose heads share keys and values are
// numbered token by token: SHARE to a token. Sums begin with `= Sums()`: without, drivers have been
// seen to keep the last round's in a loop.
// uses: attention/keys
alias Products = array<array<f32, COLUMNS>, ROWS>;
alias Sums = array<array<Part, HELD>, ROWS>;
const PITCH = OTHER + 1u;       // of a row of weights
const SECOND = OWN * PITCH;     // where the second block of weights begins
var<workgroup> memory: array<Part, BLOCK_ROWS * STRIDE>;
var<workgroup> weights: array<f32, WEIGHTS * OWN * PITCH>;

// Where query g of a key–value head lies in q, o and their gradients; and in softmax.
fn query_at(row: u32, kv_head: u32, g: u32) -> u32 {
  return (row * params.seq_len + g / SHARE) * params.heads + kv_head * SHARE + g % SHARE;
}
fn softmax_at(row: u32, kv_head: u32, g: u32) -> u32 {
  return (row * params.heads + kv_head * SHARE + g % SHARE) * params.seq_len + g / SHARE;
}

fn key_at(row: u32, kv_head: u32, j: u32) -> u32 {
  return (row * params.capacity + j) * params.kv_heads + kv_head;
}

// Where part e of a block that begins at a row of memory lies there.
fn place(first: u32, e: u32) -> u32 { return (first + e / PARTS) * STRIDE + e % PARTS; }

// Bring `count` rows of q, k or v to memory; zeros where there are none.
fn load_q(first: u32, count: u32, row: u32, kv_head: u32, g0: u32, thread: u32) {
  for (var e = thread; e < count * PARTS; e += THREADS) {
    let g = g0 + e / PARTS;
    var x = Part();
    if (g < params.seq_len * SHARE) { x = q[query_at(row, kv_head, g) * PARTS + e % PARTS]; }
    memory[place(first, e)] = x;
  }
}
fn load_k(first: u32, count: u32, row: u32, kv_head: u32, j0: u32, thread: u32) {
  for (var e = thread; e < count * PARTS; e += THREADS) {
    let j = j0 + e / PARTS;
    var x = Part();
    if (j < params.capacity) { x = k[key_at(row, kv_head, j) * PARTS + e % PARTS]; }
    memory[place(first, e)] = x;
  }
}
fn load_v(first: u32, count: u32, row: u32, kv_head: u32, j0: u32, thread: u32) {
  for (var e = thread; e < count * PARTS; e += THREADS) {
    let j = j0 + e / PARTS;
    var x = Part();
    if (j < params.capacity) { x = v[key_at(row, kv_head, j) * PARTS + e % PARTS]; }
    memory[place(first, e)] = x;
  }
}

// The first own row of a thread.
fn own_row(thread: u32) -> u32 { return thread / LANES * ROWS; }

// Products of own rows and other rows, of blocks that begin at these rows of memory.
fn products(own: u32, other: u32, thread: u32) -> Products {
  var out = Products();
  let x_at = (own + own_row(thread)) * STRIDE;
  let y_at = (other + thread % LANES) * STRIDE;
  for (var c = 0u; c < PARTS; c++) {
    var x: array<Part, ROWS>;
    for (var r = 0u; r < ROWS; r++) { x[r] = memory[x_at + r * STRIDE + c]; }
    for (var n = 0u; n < COLUMNS; n++) {
      let y = memory[y_at + n * LANES * STRIDE + c];
      for (var r = 0u; r < ROWS; r++) { out[r][n] += part_dot(x[r], y); }
    }
  }
  return out;
}

// Adds other rows, times a block of weights, to sums of own rows; and the weights to theirs.
fn add_weighted(
  first: u32,
  other: u32,
  thread: u32,
  sums: ptr<function, Sums>,
  total: ptr<function, array<f32, ROWS>>,
) {
  let w_at = first + own_row(thread) * PITCH;
  for (var j = 0u; j < OTHER; j++) {
    var x: array<Part, HELD>;
    for (var i = 0u; i < HELD; i++) {
      x[i] = memory[(other + j) * STRIDE + min(thread % LANES + i * LANES, PARTS - 1u)];
    }
    for (var r = 0u; r < ROWS; r++) {
      let w = weights[w_at + r * PITCH + j];
      (*total)[r] += w;
      for (var i = 0u; i < HELD; i++) { (*sums)[r][i] += w * x[i]; }
    }
  }
}
