// What both backward passes of attention in blocks read: the first key of a query, and the gradient of
// the output.
// uses: attention/blocks
fn first_of(row: u32, t: u32) -> u32 {
  return first_key(positions[row * params.seq_len + t], t);
}

fn load_d_o(first: u32, count: u32, row: u32, kv_head: u32, g0: u32, thread: u32) {
  for (var e = thread; e < count * PARTS; e += THREADS) {
    let g = g0 + e / PARTS;
    var x = Part();
    if (g < params.seq_len * SHARE) { x = d_o[query_at(row, kv_head, g) * PARTS + e % PARTS]; }
    memory[place(first, e)] = x;
  }
}
