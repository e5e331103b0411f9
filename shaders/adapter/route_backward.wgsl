// Gradients of top-k routing: through the kept set dz_i = w_i (dw_i − Σ w_k dw_k); and, where
// `balanced`, of the balance loss g_e = balance_scale · n · f_e / tokens with n open experts: dz_e
// += p_e (g_e − Σ p_k g_k), for real tokens only. dz goes to dh (tokens, width) from column
// `start`. One thread a (token, site).
// uses: grid
@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dw: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> routing: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> dh: array<f32>;
struct Params {
  tokens: u32,
  seq_len: u32,
  sites: u32,
  experts: u32,
  width: u32,
  start: u32,
  balanced: u32,
  first: u32,
  total: u32,
}
@group(0) @binding(7) var<uniform> params: Params;
@group(0) @binding(8) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.sites) { return; }
  let site = 4u * (index % params.sites);
  let token = index / params.sites;
  let experts = table[site + 1u];
  let gate = token * params.experts + table[site];
  let f = params.first + table[site];
  let real = token % params.seq_len < lengths[token / params.seq_len];
  let scale = step.balance_scale * f32(table[site + 2u]) / max(routing[3u * params.total], 1.0);
  let balance = select(0.0, scale, params.balanced != 0u && real);
  var mean_w = 0.0;
  var mean_p = 0.0;
  for (var e = 0u; e < experts; e++) {
    mean_w += w[gate + e] * dw[gate + e];
    mean_p += p[gate + e] * balance * routing[f + e];
  }
  let out = token * params.width + params.start + table[site];
  for (var e = 0u; e < experts; e++) {
    let through = w[gate + e] * (dw[gate + e] - mean_w);
    dh[out + e] = through + p[gate + e] * (balance * routing[f + e] - mean_p);
  }
}
