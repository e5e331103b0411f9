// Softmax and cross-entropy of rows of logits, one window of the vocabulary (rows, columns) at a time:
// `softmax` (rows, 2) keeps the largest logit so far and Σ exp(logit − largest); the last window
// completes the loss. Rows with target 0xffffffff carry no loss. lib/rows reduces the rows.
@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> softmax: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
struct Params {
  rows: u32,
  columns: u32,
  first: u32,  // row of targets and losses
  column: u32, // of the vocabulary, where the window begins
  vocab: u32,
}
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let row = row_of(grid);
  let lane = lane_of(grid);
  let start = row * params.columns;
  let end = select(0u, params.columns, row < params.rows);
  let begins = params.column == 0u || row >= params.rows;
  var before = vec2<f32>(-3.4e38, 0.0);
  if (!begins) { before = vec2<f32>(softmax[2u * row], softmax[2u * row + 1u]); }
  var top = before.x;
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
  sum = row_sum(grid, sum) + before.y * exp(before.x - top);
  if (row >= params.rows || lane != 0u) { return; }
  softmax[2u * row] = top;
  softmax[2u * row + 1u] = sum;
  let to = params.first + row;
  let id = targets[to];
  var loss = 0.0;
  if (!begins) { loss = losses[to]; }
  if (id >= params.column && id - params.column < params.columns) {
    loss = -logits[start + id - params.column];
  }
  if (id < params.vocab && params.column + params.columns == params.vocab) { loss += top + log(sum); }
  losses[to] = loss;
}
