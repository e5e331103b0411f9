// Sizes by argmax (method §2): per site the number of open experts, max(K, argmax + 1) or, where sites can close, argmax itself; then the
// rank argmax + 1 of every expert. Ties go to the lower index. sizes: per site (1 + experts). One thread a site.
@group(0) @binding(0) var<storage, read> expert_gsv: array<f32>;
@group(0) @binding(1) var<storage, read> rank_gsv: array<f32>;
@group(0) @binding(2) var<storage, read_write> sizes: array<u32>;
struct Params { sites: u32, experts: u32, rank: u32, kept: u32, closable: u32, start: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let site = id.x;
  if (site >= params.sites) { return; }
  let length = params.experts + params.closable;
  var best = 0u;
  for (var k = 1u; k < length; k++) { if (expert_gsv[site * length + k] > expert_gsv[site * length + best]) { best = k; } }
  let out = params.start + site * (params.experts + 1u);
  sizes[out] = select(max(params.kept, best + 1u), best, params.closable != 0u);
  for (var e = 0u; e < params.experts; e++) {
    let first = (site * params.experts + e) * params.rank;
    var top = 0u;
    for (var k = 1u; k < params.rank; k++) { if (rank_gsv[first + k] > rank_gsv[first + top]) { top = k; } }
    sizes[out + 1u + e] = top + 1u;
  }
}
