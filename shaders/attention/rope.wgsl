// Rotary position embedding (Su et al. 2021) in place, halves convention of Llama: (x₁, x₂) ← (x₁ c
// − x₂ s, x₂ c + x₁ s). x (rows·seq_len, heads, D); tables (positions, D/2); position (tokens) of each
// token in its document. `direction` −1 rotates back.
// uses: grid
@group(0) @binding(0) var<storage, read> cosines: array<f32>;
@group(0) @binding(1) var<storage, read> sines: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
struct Params { tokens: u32, heads: u32, half_size: u32, positions: u32, direction: f32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  if (index >= params.tokens * params.heads * params.half_size) { return; }
  let i = index % params.half_size;
  let head = (index / params.half_size) % params.heads;
  let token = index / (params.half_size * params.heads);
  let at = min(position[token], params.positions - 1u) * params.half_size + i;
  let c = cosines[at];
  let s = sines[at] * params.direction;
  let first = (token * params.heads + head) * 2u * params.half_size + i;
  let x1 = x[first];
  let x2 = x[first + params.half_size];
  x[first] = x1 * c - x2 * s;
  x[first + params.half_size] = x2 * c + x1 * s;
}
