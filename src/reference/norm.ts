// RMSNorm in float64: the specification of src/ops/norm.

/** y and dx of RMSNorm for x, dy (rows, width) and weight (width). */
export function rmsNorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  eps: number,
  dy?: ArrayLike<number>,
): { y: Float64Array; dx: Float64Array } {
  const width = weight.length;
  const y = new Float64Array(x.length);
  const dx = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    let squares = 0;
    for (let c = 0; c < width; c++) squares += x[start + c] ** 2;
    const rms = Math.sqrt(squares / width + eps);
    let dot = 0;
    for (let c = 0; c < width; c++) {
      y[start + c] = (x[start + c] * weight[c]) / rms;
      if (dy) dot += weight[c] * dy[start + c] * x[start + c];
    }
    if (dy)
      for (let c = 0; c < width; c++)
        dx[start + c] =
          (weight[c] * dy[start + c] - (x[start + c] * dot) / (width * rms * rms)) / rms;
  }
  return { y, dx };
}
