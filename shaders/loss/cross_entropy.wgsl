// Cross-entropy of rows of logits (rows, vocab) against targets; with `write_gradient`, the logits
// become ∂(mean loss)/∂logits in place: (softmax − onehot) · step.inverse_tokens. Rows with target
// 0xffffffff carry no loss and get zeros.
@group(0) @binding(0) var<storage, read> targets: array<u32>;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
struct Params { rows: u32, vocab: u32, first: u32, write_gradient: u32 }
@group(0) @binding(3) var<uniform> params: Params;
@group(0) @binding(4) var<uniform> step: Step;

fn loss_of(row: u32, top: f32, sum: f32) -> f32 {
  let id = targets[params.first + row];
  if (id >= params.vocab) { return 0.0; }
  return top + log(sum) - logits[row * params.vocab + id];
}

fn write_gradient(row: u32, top: f32, sum: f32, first: u32, stride: u32) {
  let id = targets[params.first + row];
  let scale = select(0.0, step.inverse_tokens, id < params.vocab);
  for (var i = first; i < params.vocab; i += stride) {
    let at = row * params.vocab + i;
    logits[at] = scale * (exp(logits[at] - top) / sum - select(0.0, 1.0, i == id));
  }
}

// One thread a row.
@compute @workgroup_size(16)
fn thread_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = (group.x + group.y * groups.x) * 16u + thread;
  if (row >= params.rows) { return; }
  let start = row * params.vocab;
  var top = -3.4e38;
  var sum = 0.0;
  for (var i = 0u; i < params.vocab; i++) { top = max(top, logits[start + i]); }
  // In blocks: one running sum would round the many small terms of a large vocabulary away.
  for (var block = 0u; block < params.vocab; block += 256u) {
    var part = 0.0;
    for (var i = block; i < min(block + 256u, params.vocab); i++) {
      part += exp(logits[start + i] - top);
    }
    sum += part;
  }
  losses[params.first + row] = loss_of(row, top, sum);
  if (params.write_gradient != 0u) { write_gradient(row, top, sum, 0u, 1u); }
}

var<workgroup> partial: array<f32, 64>;

// One workgroup a row: strided partials, then trees in fixed order.
@compute @workgroup_size(64)
fn workgroup_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let start = row * params.vocab;
  var top = -3.4e38;
  for (var i = thread; i < params.vocab; i += 64u) { top = max(top, logits[start + i]); }
  partial[thread] = top;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { partial[thread] = max(partial[thread], partial[thread + half]); }
  }
  workgroupBarrier();
  top = partial[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var block = thread; block < params.vocab; block += 2048u) {
    var part = 0.0;
    for (var i = block; i < min(block + 2048u, params.vocab); i += 64u) {
      part += exp(logits[start + i] - top);
    }
    sum += part;
  }
  partial[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { partial[thread] += partial[thread + half]; }
  }
  workgroupBarrier();
  sum = partial[0];
  if (thread == 0u) { losses[params.first + row] = loss_of(row, top, sum); }
  storageBarrier();
  workgroupBarrier();
  if (params.write_gradient != 0u) { write_gradient(row, top, sum, thread, 64u); }
}
