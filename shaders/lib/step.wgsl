// Scalars that change with every micro-batch or update; one uniform, written by the host before
// each replay.
struct Step {
  learning_rate: f32,
  weight_decay: f32,
  clip_norm: f32,
  inverse_tokens: f32,      // 1 / loss-carrying tokens of the accumulated batch
  balance_scale: f32,       // balance coefficient / micro-batches of the accumulated batch
  correction1: f32,         // 1 − β1^t
  correction2: f32,         // 1 − β2^t
  dropout: f32,
  seed: u32,
  number: u32,              // optimizer step, from 1
  micro: u32,               // micro-batch within the step
  reserved: u32,
}
