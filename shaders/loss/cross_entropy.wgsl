// Cross-entropy of rows of logits (rows, vocab) against targets; with `write_gradient`, the logits
// become ∂(mean loss)/∂logits in place: (softmax − onehot) · step.inverse_tokens. Rows with target
// 0xffffffff carry no loss and get zeros. Rows are reduced by lib/rows.
@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
struct Params { rows: u32, vocab: u32, first: u32, write_gradient: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let row = row_of(grid);
  let lane = lane_of(grid);
  let start = row * params.vocab;
  let end = select(0u, params.vocab, row < params.rows);
  var top = -3.4e38;
  for (var i = lane; i < end; i += LANES) { top = max(top, logits[start + i]); }
  top = row_max(grid, top);
  // In blocks: one running sum would round the many small terms of a large vocabulary away.
  var sum = 0.0;
  for (var block = lane; block < end; block += TERMS * LANES) {
    var part = 0.0;
    for (var i = block; i < min(block + TERMS * LANES, end); i += LANES) {
      part += exp(logits[start + i] - top);
    }
    sum += part;
  }
  sum = row_sum(grid, sum);
  if (row >= params.rows) { return; }
  let id = targets[params.first + row];
  let carries = id < params.vocab;
  // By the lane that will overwrite this logit.
  if (id % LANES == lane) {
    losses[params.first + row] = select(0.0, top + log(sum) - logits[start + min(id, end - 1u)], carries);
  }
  if (params.write_gradient == 0u) { return; }
  let scale = select(0.0, step.inverse_tokens, carries);
  for (var i = lane; i < end; i += LANES) {
    let p = exp(logits[start + i] - top) / sum;
    logits[start + i] = scale * (p - select(0.0, 1.0, i == id));
  }
}
