// The scale and minimum of sub-block s of a q4_k or q5_k block at word `at`: 6 bits each, out of
// three words.
fn scale_minimum(at: u32, s: u32) -> vec2<f32> {
  let shift = 8u * (s & 3u);
  let first = word(at + 1u) >> shift;
  let second = word(at + 2u) >> shift;
  let third = word(at + 3u) >> shift;
  let early = vec2<u32>(first & 63u, second & 63u);
  let late = vec2<u32>((third & 15u) | ((first >> 2u) & 48u), ((third >> 4u) & 15u) | ((second >> 2u) & 48u));
  return vec2<f32>(select(late, early, s < 4u)) * unpack2x16float(word(at));
}
