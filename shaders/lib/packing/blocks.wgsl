// What GGUF's block formats share. Their modules define `weights4`; the kernel's `word` reads.
fn element(i: u32) -> f32 { return weights4(i / 4u)[i % 4u]; }

// Four bytes of a word, their low nibbles, or the nibbles' fifth bits out of four bits of a word.
fn bytes4(w: u32) -> vec4<u32> { return vec4<u32>(w, w >> 8u, w >> 16u, w >> 24u) & vec4<u32>(255u); }
fn nibbles4(w: u32) -> vec4<u32> { return bytes4(w) & vec4<u32>(15u); }
fn bits4(w: u32) -> vec4<u32> {
  return (vec4<u32>(w, w >> 1u, w >> 2u, w >> 3u) & vec4<u32>(1u)) << vec4<u32>(4u);
}
fn signed4(w: u32) -> vec4<i32> {
  return vec4<i32>(vec4<u32>(w << 24u, w << 16u, w << 8u, w)) >> vec4<u32>(24u);
}
