// Operands of a product as they are in workgroup memory (product/tile.wgsl).
alias KeptA = vec4<f32>;
alias KeptB = vec4<f32>;
fn keep_a(v: vec4<f32>) -> KeptA { return v; }
fn keep_b(v: vec4<f32>) -> KeptB { return v; }
fn kept_a(x: KeptA) -> vec4<f32> { return x; }
fn kept_b(x: KeptB) -> vec4<f32> { return x; }
fn scale() -> f32 { return 1.0; }
