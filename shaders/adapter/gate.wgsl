// The gate of a group of sites (method §1). Top-k routing: p = softmax(z) over a site's open experts,
// and w the K largest of them (ties to the lower index), renormalised; 0 for closed experts. Then u =
// w_i factor_c h_c for the columns c of each expert i. h (tokens, width) has the columns, and z from
// column `start`; u (tokens, columns). gates: p, then w from `stride`, each (tokens, experts). Table,
// per site: first expert, experts, open ones, K; then per expert: first column, end column, open
// rows. One thread a (token, expert).
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
@group(0) @binding(4) var<storage, read_write> u: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  width: u32,
  start: u32,
  columns: u32,
  stride: u32,
}
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.experts) { return; }
  let expert = index % params.experts;
  let token = index / params.experts;
  var site = 0u;
  while (table[site] + table[site + 1u] <= expert) { site += 4u; }
  let own = expert - table[site];
  let open = table[site + 2u];
  let z = token * params.width + params.start + table[site];
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
  let v = h[z + own];
  let kept = own < open && (v > last || (v == last && own <= last_e));
  // A kept weight is never exactly zero: zero marks the others.
  let w = select(0.0, max(exp(v - top) / sum, 1.2e-38), kept);
  gates[index] = select(0.0, exp(v - top) / all, own < open);
  gates[params.stride + index] = w;
  let entry = 4u * params.sites + 3u * expert;
  for (var c = table[entry]; c < table[entry + 1u]; c++) {
    u[token * params.columns + c] = w * factor[c] * h[token * params.width + c];
  }
}
