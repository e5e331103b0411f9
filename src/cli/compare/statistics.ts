// The statistics of a comparison: spread, paired differences with their interval, rank correlation.

/** Mean and standard deviation (n − 1); `sd` is null below two values. */
export interface Spread {
  n: number;
  mean: number;
  sd: number | null;
}

const sum = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0);

/** The spread of at least one value. */
export function spread(values: readonly number[]): Spread {
  const n = values.length;
  const mean = sum(values) / n;
  return {
    n,
    mean,
    sd: n < 2 ? null : Math.sqrt(sum(values.map((v) => (v - mean) ** 2)) / (n - 1)),
  };
}

/**
 * P(|T| ≤ t) of Student's t with a whole number of degrees of freedom, by its finite series
 * (Abramowitz & Stegun 26.7.3–4): with θ = atan(t/√ν), even ν: sin θ·(1 + ½cos²θ + ½·¾cos⁴θ + …);
 * odd ν: (2/π)(θ + sin θ·(cos θ + ⅔cos³θ + …)).
 */
export function studentCentral(t: number, freedom: number): number {
  const theta = Math.atan(t / Math.sqrt(freedom));
  const cos2 = Math.cos(theta) ** 2;
  const odd = freedom % 2 === 1;
  let term = odd ? Math.cos(theta) : 1;
  let series = 0;
  for (let k = odd ? 1 : 0; k <= freedom - 2; k += 2) {
    series += term;
    term *= (cos2 * (k + 1)) / (k + 2);
  }
  return odd ? (2 / Math.PI) * (theta + Math.sin(theta) * series) : Math.sin(theta) * series;
}

/** The t with P(|T| ≤ t) = `probability`, by bisection. */
export function studentQuantile(probability: number, freedom: number): number {
  let low = 0;
  let high = 1;
  while (studentCentral(high, freedom) < probability) high *= 2;
  for (let halvings = 0; halvings < 100; halvings++) {
    const middle = (low + high) / 2;
    if (studentCentral(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return high;
}

/** A mean difference with its 95 % interval mean ± halfWidth; null below two pairs. */
export interface Difference {
  n: number;
  mean: number;
  halfWidth: number | null;
}

/** The mean of paired differences with the interval of Student's t, n − 1 degrees of freedom. */
export function meanDifference(differences: readonly number[]): Difference {
  const { n, mean, sd } = spread(differences);
  return {
    n,
    mean,
    halfWidth: sd === null ? null : (studentQuantile(0.95, n - 1) * sd) / Math.sqrt(n),
  };
}

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  return values.map((v) => {
    const below = values.filter((w) => w < v).length;
    const equal = values.filter((w) => w === v).length;
    return below + (equal + 1) / 2;
  });
}

/** Spearman's rank correlation, ties sharing ranks; null where one side is all alike. */
export function spearman(a: readonly number[], b: readonly number[]): number | null {
  const [x, y] = [ranks(a), ranks(b)].map((r) => r.map((v) => v - (r.length + 1) / 2));
  const norm = Math.sqrt(sum(x.map((v) => v * v)) * sum(y.map((v) => v * v)));
  return norm === 0 ? null : sum(x.map((v, i) => v * y[i])) / norm;
}

/** The mean of Spearman's correlation over all pairs; null where no pair has one. */
export function agreement(vectors: readonly (readonly number[])[]): number | null {
  const all = vectors
    .flatMap((a, i) => vectors.slice(i + 1).map((b) => spearman(a, b)))
    .filter((r) => r !== null);
  return all.length === 0 ? null : sum(all) / all.length;
}
