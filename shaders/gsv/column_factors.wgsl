// What a search multiplies the columns of each expert by (method §2): factor_c = s m_c e_c, with
// the row mask m (1, or `closed` beyond an expert's open rows) and the trainable row scale e. Every
// expert has `rank` columns; the table is that of adapter/gate.wgsl, its experts at `experts`. One
// thread a column.
// uses: grid
@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read> row_scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;
struct Params { columns: u32, experts: u32, rank: u32, scale: f32, closed: f32 }
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let c = flat_index(grid);
  if (c >= params.columns) { return; }
  let open = c % params.rank < table[params.experts + 3u * (c / params.rank) + 2u];
  factor[c] = params.scale * select(params.closed, 1.0, open) * row_scale[c];
}
