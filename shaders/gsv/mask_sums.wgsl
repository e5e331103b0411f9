// Sums over tokens, in a fixed order: for column c with T = Σ w s du h, ∂L/∂e_c += m T and ∂L/∂m_c = e T (open and closed rows alike);
// and ∂L/∂mask of every expert. d_masks: ΣER rows, then ΣE experts. One workgroup a column or expert.
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> row_scale: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read> dh: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_row_scale: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_masks: array<f32>;
struct Params { tokens: u32, sites: u32, experts: u32, rank: u32, start: u32, scale: f32, closed: f32 }
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let c = group.x + group.y * groups.x;
  let all = params.sites * params.experts;
  let columns = all * params.rank;
  let expert = select(c - columns, c / params.rank, c < columns);
  var sum = 0.0;
  if (c < columns + all) {
    for (var token = thread; token < params.tokens; token += 64u) {
      if (c < columns) { sum += gates[token * 2u * all + all + expert] * du[token * columns + c] * h[token * (columns + all) + c]; }
      else { sum += dh[token * (columns + 2u * all) + c + all]; }
    }
  }
  sums[thread] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread != 0u || c >= columns + all) { return; }
  if (c >= columns) { d_masks[c] = sums[0]; return; }
  let rank = sizes[params.start + (expert / params.experts) * (params.experts + 1u) + 1u + expert % params.experts];
  let total = params.scale * sums[0];
  d_row_scale[c] += select(params.closed, 1.0, c % params.rank < rank) * total;
  d_masks[c] = row_scale[c] * total;
}
