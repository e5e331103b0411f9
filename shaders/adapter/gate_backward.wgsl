// The gate's gradients: dh = w_i s_i du for expert columns; through the kept set dz_i = w_i (dw_i −
// Σ w_k dw_k) with dw_i = s_i ⟨du_i, h_i⟩; and of the balance loss g_e = balance_scale · E · f_e /
// tokens, dz_e += p_e (g_e − Σ p_k g_k), for real tokens only. One thread a (token, site).
@group(0) @binding(0) var<storage, read> h: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> p: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read> du: array<f32>;
@group(0) @binding(5) var<storage, read> routing: array<f32>;
@group(0) @binding(6) var<storage, read> lengths: array<u32>;
@group(0) @binding(7) var<storage, read_write> dh: array<f32>;
struct Params {
  tokens: u32,
  time: u32,
  sites: u32,
  width: u32,
  router_start: u32,
  experts: u32,
  routing_start: u32,
  routing_tokens: u32,
}
@group(0) @binding(8) var<uniform> params: Params;
@group(0) @binding(9) var<uniform> step: Step;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.sites) { return; }
  let site = index % params.sites;
  let token = index / params.sites;
  let first = table[3u * site];
  let count = table[3u * site + 1u];
  let z = token * params.width + params.router_start + first;
  let gates = token * params.experts + first;
  let real = token % params.time < lengths[token / params.time];
  let balance = select(0.0, step.balance_scale * f32(count) / max(routing[params.routing_tokens], 1.0), real);
  var mean_w = 0.0;
  var mean_p = 0.0;
  for (var e = 0u; e < count; e++) {
    let weight = w[gates + e];
    let entry = 3u * (params.sites + first + e);
    let scale = bitcast<f32>(table[entry + 2u]);
    var dw = 0.0;
    for (var c = table[entry]; c < table[entry + 1u]; c++) {
      let d = du[token * params.router_start + c];
      let at = token * params.width + c;
      dw += d * h[at];
      dh[at] = weight * scale * d;
    }
    dw *= scale;
    dh[z + e] = dw;
    mean_w += weight * dw;
    mean_p += p[gates + e] * balance * routing[params.routing_start + first + e];
  }
  for (var e = 0u; e < count; e++) {
    dh[z + e] = w[gates + e] * (dh[z + e] - mean_w) + p[gates + e] * (balance * routing[params.routing_start + first + e] - mean_p);
  }
}
