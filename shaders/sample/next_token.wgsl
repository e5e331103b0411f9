// Samples each row's next token from its logits (rows, vocab), and makes it the row's next input. At
// temperature 0 the largest logit (ties to the lower id); else a draw from softmax(logits /
// temperature), of the smallest set of tokens whose probabilities reach top-p (Holtzman et al. 2020;
// ties to the lower id). `sampling` has temperature and top-p, `draws` and `chosen` (tokens, rows) the
// uniform numbers and the ids, at token step.number. One workgroup a row; thread 0 draws by the sums
// of the threads' spans of the vocabulary, in order of ids.
// uses: reduce
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> sampling: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<f32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> positions: array<u32>;
struct Params { rows: u32, vocab: u32, capacity: u32 }
@group(0) @binding(6) var<uniform> params: Params;
@group(0) @binding(7) var<uniform> step: Step;

var<workgroup> above: array<f32, threads>; // Σ of the weights above the least kept one, by span
var<workgroup> ties: array<u32, threads>;  // tokens that have it

fn weight(row: u32, id: u32, top: f32) -> f32 {
  return exp((logits[row * params.vocab + id] - top) / sampling[0]);
}

// Σ of all weights whose bits are at least `least`; bits order as the weights do.
fn sum_from(row: u32, top: f32, least: u32, thread: u32) -> f32 {
  var sum = 0.0;
  for (var id = thread; id < params.vocab; id += threads) {
    let w = weight(row, id, top);
    sum += select(0.0, w, bitcast<u32>(w) >= least);
  }
  return workgroup_sum(thread, sum);
}

// By thread 0, with `above` and `ties` filled: the first id at which the sum of the kept weights
// passes `draw` of them all; `needed` is the sum that top-p asks for.
fn drawn(row: u32, top: f32, least: u32, needed: f32, draw: f32) -> u32 {
  let span = (params.vocab + threads - 1u) / threads;
  let w = bitcast<f32>(least);
  var sum = 0.0;
  var equal = 0u;
  for (var s = 0u; s < threads; s++) { sum += above[s]; equal += ties[s]; }
  let enough = max(ceil((needed - sum) / w), select(0.0, 1.0, sum == 0.0));
  let kept = u32(min(f32(equal), enough));
  var at = draw * (sum + f32(kept) * w);
  var left = kept;
  var last = 0u;
  for (var s = 0u; s < threads; s++) {
    let own = min(left, ties[s]);
    let part = above[s] + f32(own) * w;
    if (part == 0.0) { continue; }
    last = s;
    if (at < part) { break; }
    at -= part;
    left -= own;
  }
  var id = 0u;
  if (left == 0u) { left = min(kept, ties[last]); } // where rounding passed all spans
  for (var i = last * span; i < min((last + 1u) * span, params.vocab); i++) {
    let v = weight(row, i, top);
    if (bitcast<u32>(v) < least) { continue; }
    if (bitcast<u32>(v) == least) {
      if (left == 0u) { continue; }
      left--;
    }
    id = i;
    if (at < v) { break; }
    at -= v;
  }
  return id;
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.x;
  var top = -3.4e38;
  for (var i = thread; i < params.vocab; i += threads) {
    top = max(top, logits[row * params.vocab + i]);
  }
  top = workgroup_max(thread, top);
  var first = 16777216.0;
  for (var i = thread; i < params.vocab; i += threads) {
    if (logits[row * params.vocab + i] == top) { first = min(first, f32(i)); }
  }
  var id = min(u32(-workgroup_max(thread, -first)), params.vocab - 1u);
  if (sampling[0] > 0.0) {
    // Bisects for the largest threshold at which the kept weights still reach top-p.
    var needed = 3.4e38;
    var least = 1u;
    if (sampling[1] < 1.0) {
      needed = sampling[1] * sum_from(row, top, least, thread);
      var high = bitcast<u32>(1.0);
      for (var i = 0u; i < 30u; i++) {
        let middle = least + (high - least + 1u) / 2u;
        let enough = sum_from(row, top, middle, thread) >= needed;
        least = select(least, middle, enough);
        high = select(middle - 1u, high, enough);
      }
    }
    let span = (params.vocab + threads - 1u) / threads;
    above[thread] = 0.0;
    ties[thread] = 0u;
    for (var i = thread * span; i < min((thread + 1u) * span, params.vocab); i++) {
      let w = weight(row, i, top);
      if (bitcast<u32>(w) > least) { above[thread] += w; }
      if (bitcast<u32>(w) == least) { ties[thread]++; }
    }
    workgroupBarrier();
    if (thread == 0u) {
      id = drawn(row, top, least, needed, draws[step.number * params.rows + row]);
    }
  }
  if (thread != 0u) { return; }
  chosen[step.number * params.rows + row] = id;
  ids[row] = id;
  positions[row] = min(positions[row] + 1u, params.capacity - 1u);
}
