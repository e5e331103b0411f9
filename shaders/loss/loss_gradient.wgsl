// A window of logits (rows, columns) becomes ∂(mean loss)/∂logits in place: (softmax − onehot) ·
// step.inverse_tokens, zeros for rows without a target. `softmax` is that of log_sum_exp.wgsl.
// uses: grid
@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read> softmax: array<f32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
struct Params { rows: u32, columns: u32, first: u32, column: u32, vocab: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i >= params.rows * params.columns) { return; }
  let row = i / params.columns;
  let id = targets[params.first + row];
  let scale = select(0.0, step.inverse_tokens, id < params.vocab);
  let p = exp(logits[i] - softmax[2u * row]) / softmax[2u * row + 1u];
  logits[i] = scale * (p - select(0.0, 1.0, params.column + i % params.columns == id));
}
