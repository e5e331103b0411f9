// Q8_0: 8 bits an element; a scale a block of 32.
// uses: packing/blocks
fn weights4(i: u32) -> vec4<f32> {
  let at = (i / 8u) * 9u; // the block's first word
  let q = i % 8u;
  return unpack2x16float(word(at)).x * vec4<f32>(signed4(word(at + 1u + q)));
}
