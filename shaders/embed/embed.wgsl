// Embedding lookup: y (tokens, width) = rows `ids` of a packed table that holds rows `first` to
// first + rows − 1 of the vocabulary; other tokens are left to the other shards. `element` is
// the packing's.
// uses: grid
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
struct Params { tokens: u32, width: u32, vocab: u32, first: u32, rows: u32 }
@group(0) @binding(3) var<uniform> params: Params;

fn word(i: u32) -> u32 { return table[i]; }

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.width) { return; }
  let id = min(ids[index / params.width], params.vocab - 1u);
  if (id < params.first || id >= params.first + params.rows) { return; }
  y[index] = element((id - params.first) * params.width + index % params.width);
}
