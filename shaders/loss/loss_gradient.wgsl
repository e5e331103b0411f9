// A window of logits (rows, columns) becomes ∂(mean loss)/∂logits in place: (softmax − onehot) ·
// step.inverse_tokens, zeros for rows without a target. `softmax` is that of log_sum_exp.wgsl. A
// workgroup takes 512 columns of a row.
@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read> softmax: array<f32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
struct Params { columns: u32, first: u32, column: u32, vocab: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y;
  let id = targets[params.first + row];
  let top = softmax[2u * row];
  let scale = select(0.0, step.inverse_tokens, id < params.vocab);
  let share = scale / softmax[2u * row + 1u];
  let end = min(512u * (group.x + 1u), params.columns);
  for (var i = 512u * group.x + thread; i < end; i += 64u) {
    let at = row * params.columns + i;
    let one = select(0.0, scale, params.column + i == id);
    logits[at] = share * exp(logits[at] - top) - one;
  }
}
