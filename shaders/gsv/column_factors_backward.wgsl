// Gradients of column_factors.wgsl from d = ∂L/∂factor: of the row scales ∂L/∂e_c += s m_c d_c, or
// with `masks` of the row mask ∂L/∂m_c = s e_c d_c, open and closed rows alike. One thread a column.
// uses: grid
@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read> row_scale: array<f32>;
@group(0) @binding(2) var<storage, read> d_factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
struct Params { columns: u32, experts: u32, rank: u32, scale: f32, closed: f32, masks: u32 }
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let c = flat_index(grid);
  if (c >= params.columns) { return; }
  let d = params.scale * d_factor[c];
  if (params.masks != 0u) {
    out[c] = row_scale[c] * d;
    return;
  }
  let open = c % params.rank < table[params.experts + 3u * (c / params.rank) + 2u];
  out[c] += select(params.closed, 1.0, open) * d;
}
