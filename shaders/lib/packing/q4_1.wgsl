// Q4_1: 4 bits an element; a scale and a minimum a block of 32.
// uses: packing/blocks
fn weights4(i: u32) -> vec4<f32> {
  let at = (i / 8u) * 5u; // the block's first word
  let q = i % 8u;
  let d = unpack2x16float(word(at));
  return d.x * vec4<f32>(nibbles4(word(at + 1u + (q & 3u)) >> (4u * (q >> 2u)))) + d.y;
}
