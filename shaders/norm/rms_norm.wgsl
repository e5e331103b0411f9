// RMSNorm (Zhang & Sennrich 2019): y = x · w / rms(x), keeping 1/rms for the backward. x, y (rows,
// width), weight (width).
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> inverse_rms: array<f32>;
struct Params { rows: u32, width: u32, eps: f32 }
@group(0) @binding(4) var<uniform> params: Params;

fn write_row(row: u32, sum: f32, first: u32, stride: u32) {
  let start = row * params.width;
  let inverse = 1.0 / sqrt(sum / f32(params.width) + params.eps);
  if (first == 0u) { inverse_rms[row] = inverse; }
  for (var c = first; c < params.width; c += stride) {
    y[start + c] = x[start + c] * inverse * weight[c];
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
  var sum = 0.0;
  for (var c = 0u; c < params.width; c++) { let v = x[row * params.width + c]; sum += v * v; }
  write_row(row, sum, 0u, 1u);
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
  var sum = 0.0;
  for (var c = thread; c < params.width; c += 64u) {
    let v = x[row * params.width + c];
    sum += v * v;
  }
  partial[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { partial[thread] += partial[thread + half]; }
  }
  workgroupBarrier();
  write_row(row, partial[0], thread, 64u);
}
