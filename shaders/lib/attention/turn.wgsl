// Rotary position embedding (Su et al. 2021), halves convention of Llama, of one pair (x₁, x₂) ← (x₁
// c − x₂ s, x₂ c + x₁ s). The caller binds tables (positions, D/2) and the position (tokens) of each
// token in its document; `direction` −1 rotates back.
struct Pair { token: u32, head: u32, i: u32, exists: bool }

// The pair of thread `index`: heads of q first, then those of k.
fn pair_of(index: u32) -> Pair {
  let heads = params.heads + params.kv_heads;
  let row = index / params.half_size;
  return Pair(row / heads, row % heads, index % params.half_size, row < params.tokens * heads);
}

fn turned(x: vec2<f32>, token: u32, i: u32, direction: f32) -> vec2<f32> {
  let at = min(position[token], params.positions - 1u) * params.half_size + i;
  let c = cosines[at];
  let s = sines[at] * direction;
  return vec2<f32>(x.x * c - x.y * s, x.y * c + x.x * s);
}
