// Which keys a query sees: those of its document and its window up to the last one, which is its
// own. `position` is the query's in its document.
fn first_key(position: u32, last: u32) -> u32 {
  return last - min(min(position, params.window - 1u), last);
}
