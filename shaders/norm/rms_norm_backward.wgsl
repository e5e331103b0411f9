// RMSNorm's input gradient: dx = (w ⊙ dy − x · Σ(w ⊙ dy ⊙ x)/(width · rms²)) / rms. The weight is
// frozen.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
struct Params { rows: u32, width: u32, accumulate: u32 }
@group(0) @binding(5) var<uniform> params: Params;

fn write_row(row: u32, dot: f32, first: u32, stride: u32) {
  let start = row * params.width;
  let inverse = inverse_rms[row];
  let scale = dot * inverse * inverse / f32(params.width);
  for (var c = first; c < params.width; c += stride) {
    let i = start + c;
    let v = inverse * (weight[c] * dy[i] - x[i] * scale);
    if (params.accumulate != 0u) { dx[i] += v; } else { dx[i] = v; }
  }
}

// One thread a row.
@compute @workgroup_size(64)
fn thread_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = (group.x + group.y * groups.x) * 64u + thread;
  if (row >= params.rows) { return; }
  var dot = 0.0;
  for (var c = 0u; c < params.width; c++) {
    let i = row * params.width + c;
    dot += weight[c] * dy[i] * x[i];
  }
  write_row(row, dot, 0u, 1u);
}

var<workgroup> partial: array<f32, 64>;

// One workgroup a row: strided partial sums, then a tree in fixed order.
@compute @workgroup_size(64)
fn workgroup_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  var dot = 0.0;
  for (var c = thread; c < params.width; c += 64u) {
    let i = row * params.width + c;
    dot += weight[c] * dy[i] * x[i];
  }
  partial[thread] = dot;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { partial[thread] += partial[thread + half]; }
  }
  workgroupBarrier();
  write_row(row, partial[0], thread, 64u);
}
