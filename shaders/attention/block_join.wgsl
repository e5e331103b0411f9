// Joins what block.wgsl has written of each block of keys, in their order and by its sums. One
// thread a part of a head.
// uses: grid, attention/keys
@group(0) @binding(0) var<storage, read> sums: array<Part>; // (slices, rows, seq_len, heads)
@group(0) @binding(1) var<storage, read> tops: array<vec2<f32>>; // (slices, rows, heads, seq_len)
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read_write> o: array<Part>;
@group(0) @binding(4) var<storage, read_write> softmax: array<vec2<f32>>;
struct Params { rows: u32, seq_len: u32, capacity: u32, heads: u32, window: u32 }
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let index = flat_index(grid);
  let queries = params.rows * params.seq_len * params.heads;
  if (index >= queries * PARTS) { return; }
  let at = index / PARTS;
  let head = at % params.heads;
  let t = at / params.heads % params.seq_len;
  let row = at / (params.heads * params.seq_len);
  let softmax_at = (row * params.heads + head) * params.seq_len + t;
  let position = positions[row * params.seq_len + t];
  let last = min(position, params.capacity - 1u);
  var top = -3.0e38;
  var sum = 0.0;
  var out = Part();
  for (var slice = first_key(position, last) / OTHER; slice <= last / OTHER; slice++) {
    let kept = tops[slice * queries + softmax_at];
    let both = max(top, kept.x);
    let before = exp(top - both);
    let here = exp(kept.x - both);
    top = both;
    sum = sum * before + kept.y * here;
    out = out * before + sums[slice * queries * PARTS + index] * here;
  }
  o[index] = out / sum;
  if (index % PARTS == 0u) { softmax[softmax_at] = vec2<f32>(top + log(sum), 0.0); }
}
