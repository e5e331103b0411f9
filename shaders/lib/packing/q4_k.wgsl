// Q4_K: 4 bits an element; blocks of 256 with a scale and a minimum for each 32.
// uses: packing/blocks, packing/scales
fn weights4(i: u32) -> vec4<f32> {
  let at = (i / 64u) * 36u; // the block's first word
  let q = i % 64u;
  let s = q / 8u;
  let d = scale_minimum(at, s);
  let low = nibbles4(word(at + 4u + (s >> 1u) * 8u + (q & 7u)) >> (4u * (s & 1u)));
  return d.x * vec4<f32>(low) - d.y;
}
