// Plain floats in an array of u32, which the kernel's `word` reads.
fn element(i: u32) -> f32 { return bitcast<f32>(word(i)); }

// Elements 4i to 4i + 3.
fn weights4(i: u32) -> vec4<f32> {
  return vec4<f32>(element(4u * i), element(4u * i + 1u), element(4u * i + 2u), element(4u * i + 3u));
}
