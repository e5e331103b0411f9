// Sums over tokens, in a fixed order. Lower level: ∂L/∂e_c += m T with T = Σ w s du h, for every
// column c. Upper level: ∂L/∂m_c = e T, open and closed rows alike, then Σ ∂L/∂mask of every
// expert, from the last columns of dh. A workgroup takes 8 columns, 8 tokens at a time.
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> row_scale: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read> dh: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  rank: u32,
  start: u32,
  upper: u32,
  scale: f32,
  closed: f32,
}
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let c = (group.x + group.y * groups.x) * 8u + thread % 8u;
  let all = params.sites * params.experts;
  let columns = all * params.rank;
  let count = columns + all * params.upper;
  let expert = c / params.rank;
  var sum = 0.0;
  if (c < columns) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      sum += gates[token * 2u * all + all + expert] * du[token * columns + c] * h[token * (columns + all) + c];
    }
  } else if (c < count) {
    for (var token = thread / 8u; token < params.tokens; token += 8u) {
      sum += dh[token * (columns + 2u * all) + all + c];
    }
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread >= 8u || c >= count) { return; }
  var total = 0.0;
  for (var lane = 0u; lane < 8u; lane++) { total += sums[lane * 8u + thread]; }
  if (c >= columns) { out[c] = total; return; }
  total *= params.scale;
  if (params.upper != 0u) { out[c] = row_scale[c] * total; return; }
  let rank = sizes[params.start + (expert / params.experts) * (params.experts + 1u) + 1u + expert % params.experts];
  out[c] += select(params.closed, 1.0, c % params.rank < rank) * total;
}
