// Embedding lookup: y (tokens, width) = rows `ids` of a packed table that holds rows `first` to
// first + rows − 1 of the vocabulary; other tokens are left to the other shards. `element` is
// written for the table's type (src/ops/linear/packing.ts).
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { tokens: u32, width: u32, vocab: u32, first: u32, rows: u32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.x + group.y * groups.x) * 64u + thread;
  if (index >= params.tokens * params.width) { return; }
  let id = min(ids[index / params.width], params.vocab - 1u);
  if (id < params.first || id >= params.first + params.rows) { return; }
  y[index] = element((id - params.first) * params.width + index % params.width);
}
