enable f16;
// Operands of a product in half precision in workgroup memory (product/tile.wgsl): B rounded, A as a
// high and a low half, which together keep 22 bits. Sums are in f32.
struct KeptA { high: vec4<f16>, low: vec4<f16> }
alias KeptB = vec4<f16>;
const LOW = 2048.0; // a low half is stored times this: it would be a denormal number

// Keeps the bits that an f16 holds. A mask, because compilers remove a round trip through f16.
fn held(v: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) & vec4<u32>(0xffffe000u));
}

fn keep_a(v: vec4<f32>) -> KeptA {
  let high = held(v);
  return KeptA(vec4<f16>(high), vec4<f16>((v - high) * LOW));
}
fn keep_b(v: vec4<f32>) -> KeptB { return vec4<f16>(v); }
fn kept_a(x: KeptA) -> vec4<f32> { return vec4<f32>(x.high) + vec4<f32>(x.low) / LOW; }
fn kept_b(x: KeptB) -> vec4<f32> { return vec4<f32>(x); }
