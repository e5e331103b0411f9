// Embedding lookup and row picking in plain loops: the specification of src/ops/embed.

/** Rows `index` of x (N, width); an index of 0xffffffff gives zeros. */
export function gatherRows(
  x: ArrayLike<number>,
  index: ArrayLike<number>,
  width: number,
): Float64Array {
  const out = new Float64Array(index.length * width);
  for (let i = 0; i < index.length; i++) {
    if (index[i] !== 0xffffffff)
      for (let c = 0; c < width; c++) out[i * width + c] = x[index[i] * width + c];
  }
  return out;
}

/** The way back: rows of dy (count, width) at their places in an (n, width) array of zeros. */
export function scatterRows(
  dy: ArrayLike<number>,
  index: ArrayLike<number>,
  width: number,
  n: number,
): Float64Array {
  const out = new Float64Array(n * width);
  for (let i = 0; i < index.length; i++) {
    if (index[i] !== 0xffffffff)
      for (let c = 0; c < width; c++) out[index[i] * width + c] = dy[i * width + c];
  }
  return out;
}
