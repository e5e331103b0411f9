// Gradients of gate.wgsl. Of the columns: dh_c = w_i factor_c du_c, and dw_i = Σ_c factor_c h_c du_c
// over an expert's columns, kept in gates from 2 · `stride`. Through the kept set: dz_i = w_i (dw_i −
// Σ w_k dw_k); and, where `balanced`, of the balance loss g_e = balance_scale · n · f_e / tokens with
// n open experts: dz_e += p_e (g_e − Σ p_k g_k), for real tokens only. A workgroup takes as many
// tokens as it has threads for, one an expert.
// uses: grid
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> du: array<f32>;
@group(0) @binding(4) var<storage, read> routing: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> gates: array<f32>;
@group(0) @binding(7) var<storage, read_write> dh: array<f32>;
struct Params {
  tokens: u32,
  sites: u32,
  experts: u32,
  width: u32,
  start: u32,
  columns: u32,
  stride: u32,
  seq_len: u32,
  balanced: u32,
  first: u32,
  total: u32,
}
@group(0) @binding(8) var<uniform> params: Params;
@group(0) @binding(9) var<uniform> step: Step;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let together = max(1u, threads / params.experts); // tokens
  let begin = flat_group(grid) * together * params.experts;
  let end = min(begin + together * params.experts, params.tokens * params.experts);
  let w = params.stride;
  let dw = 2u * params.stride;
  for (var index = begin + grid.thread; index < end; index += threads) {
    let token = index / params.experts;
    let entry = 4u * params.sites + 3u * (index % params.experts);
    var sum = 0.0;
    for (var c = table[entry]; c < table[entry + 1u]; c++) {
      let d = factor[c] * du[token * params.columns + c];
      sum += d * h[token * params.width + c];
      dh[token * params.width + c] = gates[w + index] * d;
    }
    gates[dw + index] = sum;
  }
  storageBarrier();
  for (var index = begin + grid.thread; index < end; index += threads) {
    let expert = index % params.experts;
    let token = index / params.experts;
    var site = 0u;
    while (table[site] + table[site + 1u] <= expert) { site += 4u; }
    let gate = token * params.experts + table[site];
    let f = params.first + table[site];
    let real = token % params.seq_len < lengths[token / params.seq_len];
    let scale = step.balance_scale * f32(table[site + 2u]) / max(routing[3u * params.total], 1.0);
    let balance = select(0.0, scale, params.balanced != 0u && real);
    var mean_w = 0.0;
    var mean_p = 0.0;
    for (var e = 0u; e < table[site + 1u]; e++) {
      mean_w += gates[w + gate + e] * gates[dw + gate + e];
      mean_p += gates[gate + e] * balance * routing[f + e];
    }
    let through = gates[w + index] * (gates[dw + index] - mean_w);
    let even = gates[index] * (balance * routing[params.first + expert] - mean_p);
    dh[token * params.width + params.start + expert] = through + even;
  }
}
