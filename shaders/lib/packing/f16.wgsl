// Half floats, two to a word, which the kernel's `word` reads.
fn element(i: u32) -> f32 { return unpack2x16float(word(i / 2u))[i % 2u]; }

// Elements 4i to 4i + 3.
fn weights4(i: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(word(2u * i)), unpack2x16float(word(2u * i + 1u)));
}
