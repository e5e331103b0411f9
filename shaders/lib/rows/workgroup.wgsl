// Row reductions by one workgroup a row: strided partial results, then a tree. All lanes must call
// row_sum and row_max, those of a row that is not there too.
// uses: reduce
override LANES: u32 = threads; // threads that share a row
const TERMS = 32u;             // of one lane, before they are added to its sum

fn row_of(grid: Grid) -> u32 { return flat_group(grid); }
fn lane_of(grid: Grid) -> u32 { return grid.thread; }
fn row_sum(grid: Grid, value: f32) -> f32 { return workgroup_sum(grid.thread, value); }
fn row_max(grid: Grid, value: f32) -> f32 { return workgroup_max(grid.thread, value); }
