// Top-k routing of a group of sites (method §1): p = softmax(z) over a site's open experts, and w
// the K largest of them (ties to the lower index), renormalised; 0 for closed experts. z lies in h
// (tokens, width) from column `start`. Table, per site: first expert, experts, open ones, K; then
// per expert: first column, end column, open rows. One thread a (token, site).
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
struct Params { tokens: u32, sites: u32, experts: u32, width: u32, start: u32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.sites) { return; }
  let site = 4u * (index % params.sites);
  let token = index / params.sites;
  let experts = table[site + 1u];
  let open = table[site + 2u];
  let z = token * params.width + params.start + table[site];
  let out = token * params.experts + table[site];
  var top = -3.4e38;
  for (var e = 0u; e < open; e++) { top = max(top, h[z + e]); }
  var all = 0.0;
  for (var e = 0u; e < open; e++) { all += exp(h[z + e] - top); }
  // The kept experts in descending order; after the loop (last, last_e) is the least of them.
  var last = 3.4e38;
  var last_e = 0u;
  var sum = 0.0;
  for (var r = 0u; r < min(table[site + 3u], open); r++) {
    var best = -3.4e38;
    var best_e = 0u;
    for (var e = 0u; e < open; e++) {
      let v = h[z + e];
      let after = v < last || (v == last && e > last_e && r > 0u);
      if (after && v > best) { best = v; best_e = e; }
    }
    last = best;
    last_e = best_e;
    sum += exp(best - top);
  }
  for (var e = 0u; e < experts; e++) {
    let v = h[z + e];
    let is_open = e < open;
    let kept = is_open && (v > last || (v == last && e <= last_e));
    p[out + e] = select(0.0, exp(v - top) / all, is_open);
    // A kept weight is never exactly zero: zero marks the others.
    w[out + e] = select(0.0, max(exp(v - top) / sum, 1.2e-38), kept);
  }
}
