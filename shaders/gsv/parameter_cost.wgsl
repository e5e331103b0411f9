// Expected parameters of each site under π = softmax(g) (method §2): Σ_k π_k W_k, where W_k = Σ
// (E[r_i] (C + O) + C) over the experts of size k. With `rate` > 0 also rate·λ times its gradient,
// added to d_experts and d_ranks. dims (sites, 2): C + O, C. cost: λ first. One thread a site.
// uses: grid
@group(0) @binding(0) var<storage, read> expert_gsv: array<f32>;
@group(0) @binding(1) var<storage, read> rank_gsv: array<f32>;
@group(0) @binding(2) var<storage, read> dims: array<f32>;
@group(0) @binding(3) var<storage, read> cost: array<f32>;
@group(0) @binding(4) var<storage, read_write> expected: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_experts: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_ranks: array<f32>;
struct Params {
  sites: u32,
  experts: u32,
  rank: u32,
  floor: u32,
  closable: u32,
  first: u32,
  rate: f32,
}
@group(0) @binding(7) var<uniform> params: Params;

struct Softmax { top: f32, total: f32, mean: f32 }

// Largest entry of an expert's rank GSV, Σ exp(g − top), and the expected rank.
fn rank_of(at: u32) -> Softmax {
  var s = Softmax(rank_gsv[at], 0.0, 0.0);
  for (var k = 1u; k < params.rank; k++) { s.top = max(s.top, rank_gsv[at + k]); }
  for (var k = 0u; k < params.rank; k++) {
    let e = exp(rank_gsv[at + k] - s.top);
    s.total += e;
    s.mean += e * f32(k + 1u);
  }
  s.mean /= s.total;
  return s;
}

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let site = flat_index(grid);
  if (site >= params.sites) { return; }
  let length = params.experts + params.closable;
  let at = site * length;
  let sum = dims[2u * site];
  let inputs = dims[2u * site + 1u];
  var top = expert_gsv[at];
  for (var k = 1u; k < length; k++) { top = max(top, expert_gsv[at + k]); }
  var total = 0.0;
  for (var k = 0u; k < length; k++) { total += exp(expert_gsv[at + k] - top); }
  // P(n > i)·(expert i's expected parameters), summed over i.
  var mean = 0.0;
  let rate = params.rate * cost[0];
  for (var i = 0u; i < params.experts; i++) {
    var alive = 1.0;
    if (i >= params.floor) {
      alive = 0.0;
      for (var k = i + params.closable; k < length; k++) {
        alive += exp(expert_gsv[at + k] - top) / total;
      }
    }
    let first = (site * params.experts + i) * params.rank;
    let s = rank_of(first);
    let size = s.mean * sum + inputs;
    mean += alive * size;
    if (params.rate == 0.0) { continue; }
    for (var k = 0u; k < params.rank; k++) {
      d_ranks[first + k] += rate * alive * sum * exp(rank_gsv[first + k] - s.top) / s.total * (f32(k + 1u) - s.mean);
    }
    if (i < params.floor) { continue; }
    for (var k = 0u; k < length; k++) {
      let reached = select(0.0, 1.0, k >= i + params.closable);
      d_experts[at + k] += rate * size * exp(expert_gsv[at + k] - top) / total * (reached - alive);
    }
  }
  expected[params.first + site] = mean;
}
