// One round of the output permutation of PCG (O'Neill 2014) in its 32-bit form, to hash counters.
fn mix(v: u32) -> u32 {
  let state = v * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}
