// Embedding lookup: y (tokens, width) = rows `ids` of a table that is f32 (packing 0), f16 (1) or bf16 (2), kept packed in u32.
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { tokens: u32, width: u32, vocab: u32, packing: u32 }
@group(0) @binding(3) var<uniform> params: Params;

fn element(i: u32) -> f32 {
  if (params.packing == 0u) { return bitcast<f32>(table[i]); }
  let word = table[i / 2u];
  let high = (i & 1u) == 1u;
  if (params.packing == 1u) { let pair = unpack2x16float(word); return select(pair.x, pair.y, high); }
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, high));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.width) { return; }
  let id = min(ids[index / params.width], params.vocab - 1u);
  y[index] = element(id * params.width + index % params.width);
}
