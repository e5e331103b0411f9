// The upper halves of floats, two to a word, which the kernel's `word` reads.
fn unpack2x16upper(pair: u32) -> vec2<f32> {
  return bitcast<vec2<f32>>(vec2<u32>(pair << 16u, pair & 0xffff0000u));
}

fn element(i: u32) -> f32 { return unpack2x16upper(word(i / 2u))[i % 2u]; }

// Elements 4i to 4i + 3.
fn weights4(i: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16upper(word(2u * i)), unpack2x16upper(word(2u * i + 1u)));
}
