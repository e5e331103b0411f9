// Second half of the global norm: ‖g‖₂ and the clip factor min(1, c / (‖g‖₂ + 1e-6)), as
// torch.nn.utils.clip_grad_norm_; c = 0 clips nothing. A norm that is not finite raises `halt` for
// good: no update is applied from then on.
// uses: statistics
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> halt: array<u32>;
@group(0) @binding(3) var<uniform> step: Step;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < 128u; i++) { sum += partials[i]; }
  let norm = sqrt(sum);
  statistics[GRAD_NORM] = norm;
  // By its bits: comparisons with NaN may be optimised away.
  if ((bitcast<u32>(norm) & 0x7f800000u) == 0x7f800000u) { halt[0] = 1u; }
  statistics[CLIP] = select(min(1.0, step.clip_norm / (norm + 1e-6)), 1.0, step.clip_norm == 0.0);
}
