// Bringing a step of a product's operands to workgroup memory (product/tile.wgsl, whose bindings,
// sizes and tiles these are).

// Whether an operand is stored by rows.
fn by_rows(right: bool, low_rank: bool) -> bool {
  return select(a_by_rows || low_rank, select(b_by_rows, b2_by_rows, low_rank), right);
}

// Where (outer, k) lies in an operand.
fn place(rows_first: bool, stride: u32, at: vec2<u32>) -> u32 {
  return select(at.y * stride + at.x, at.x * stride + at.y, rows_first);
}

// Four elements of an operand from (outer, k) on, as they are stored; zero from the limit on.
fn quad_of(p: u32, right: bool, low_rank: bool, at: vec2<u32>, limit: vec2<u32>) -> vec4<f32> {
  if (any(at >= limit)) { return vec4<f32>(); }
  let rows_first = by_rows(right, low_rank);
  var quad: vec4<f32>;
  if (right && low_rank) {
    quad = b2_quad(params.products[p].b2_start + place(rows_first, params.products[p].ldb2, at));
  } else if (right) {
    quad = b_quad(params.products[p].b_start + place(rows_first, params.products[p].ldb, at));
  } else if (low_rank) {
    let i = params.products[p].a2_start + place(rows_first, params.lda2, at);
    quad = scale() * params.products[p].alpha2 * a2_quad(i);
  } else {
    let i = params.products[p].a_start + place(rows_first, params.products[p].lda, at);
    quad = scale() * params.products[p].alpha * a_quad(i);
  }
  let inside = select(limit - at, (limit - at).yx, rows_first).x; // elements before the limit
  return select(vec4<f32>(), quad, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(inside));
}

fn keep(right: bool, i: u32, v: vec4<f32>) {
  if (right) { tile_b[i] = keep_b(v); } else { tile_a[i] = keep_a(v); }
}

// Brings product p's part of a step, in blocks of 4 × 4 from block `e` on, which neighbouring
// threads read side by side. The step begins at `first` (outer, k).
fn load(p: u32, right: bool, low_rank: bool, first: vec2<u32>, limit: vec2<u32>, e: u32) {
  let rows_first = by_rows(right, low_rank);
  let next = select(vec2<u32>(0u, 1u), vec2<u32>(1u, 0u), rows_first);
  let quads = select(rows, columns, right) / 4u;
  let deep = depth / 4u;
  let width = quads + 1u;
  for (var block = e; block < quads * deep; block += threads) {
    let by_columns = vec2<u32>(block % quads, block / quads);
    let to = select(by_columns, vec2<u32>(block / deep, block % deep), rows_first);
    let at = first + 4u * to;
    var v = mat4x4<f32>(
      quad_of(p, right, low_rank, at, limit),
      quad_of(p, right, low_rank, at + next, limit),
      quad_of(p, right, low_rank, at + 2u * next, limit),
      quad_of(p, right, low_rank, at + 3u * next, limit),
    );
    if (rows_first) { v = transpose(v); }
    let i = 4u * to.y * width + to.x;
    keep(right, i, v[0]);
    keep(right, i + width, v[1]);
    keep(right, i + 2u * width, v[2]);
    keep(right, i + 3u * width, v[3]);
  }
}
