// Q6_K: 6 bits an element; blocks of 256 with a scale for each 16.
// uses: packing/blocks
fn weights4(i: u32) -> vec4<f32> {
  let at = (i / 64u) * 53u; // the block's first word
  let q = i % 64u;
  let part = q / 32u;
  let quarter = (q / 8u) & 3u;
  let t = q & 7u;
  let low = nibbles4(word(at + part * 16u + (quarter & 1u) * 8u + t) >> (4u * (quarter >> 1u)));
  let high = (bytes4(word(at + 32u + part * 8u + t) >> (2u * quarter)) & vec4<u32>(3u)) << vec4<u32>(4u);
  let s = part * 8u + quarter * 2u + (t >> 2u);
  let d = unpack2x16float(word(at + 52u)).x;
  let scale = d * f32(i32(word(at + 48u + (s >> 2u)) << (24u - 8u * (s & 3u))) >> 24u);
  return scale * (vec4<f32>(low | high) - 32.0);
}
