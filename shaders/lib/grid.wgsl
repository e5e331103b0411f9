// A grid of workgroups, which is folded to two dimensions where there are many: takes the place of
// builtins in `fn main(grid: Grid)`.
override threads: u32 = 64;

struct Grid {
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
}

// The number of this workgroup.
fn flat_group(grid: Grid) -> u32 {
  return grid.group.x + grid.group.y * grid.groups.x;
}

// The number of this thread in the whole grid; the last ones may lie beyond what there is to do.
fn flat_index(grid: Grid) -> u32 {
  return flat_group(grid) * threads + grid.thread;
}
