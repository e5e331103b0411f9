// Cosines and sines of rotary positions, made on the host in f32 in transformers' order of
// operations (WGSL's are too coarse).
import type { ModelConfig } from './config.ts';

const f = Math.fround;

/**
 * Inverse frequencies (D/2), scaled as `rope.scaling` says (transformers' ROPE_INIT_FUNCTIONS
 * default, linear and llama3; GGUF's factors).
 */
export function inverseFrequencies({
  headDim,
  rope: { theta, scaling },
}: Pick<ModelConfig, 'headDim' | 'rope'>): Float32Array<ArrayBuffer> {
  const base = Float32Array.from({ length: headDim / 2 }, (_, i) =>
    f(1 / f(theta ** f((2 * i) / headDim))),
  );
  if (scaling.type === 'linear') return base.map((v) => f(v / scaling.factor));
  if (scaling.type === 'factors') return base.map((v, i) => f(v / scaling.factors[i]));
  if (scaling.type !== 'llama3') return base;
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositions: old } = scaling;
  return base.map((v) => {
    const wavelength = f(f(2 * Math.PI) / v);
    if (wavelength > old / low) return f(v / factor);
    if (wavelength < old / high) return v;
    const smooth = f(f(f(old / wavelength) - low) / f(high - low));
    return f(f(f(f(1 - smooth) * v) / factor) + f(smooth * v));
  });
}

/** Tables (positions, D/2). */
export function ropeTables(
  config: Pick<ModelConfig, 'headDim' | 'rope'>,
  positions: number,
): { cosines: Float32Array<ArrayBuffer>; sines: Float32Array<ArrayBuffer> } {
  const inverse = inverseFrequencies(config);
  const half = inverse.length;
  const cosines = new Float32Array(positions * half);
  const sines = new Float32Array(positions * half);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = f(inverse[i] * p);
      cosines[p * half + i] = Math.cos(angle);
      sines[p * half + i] = Math.sin(angle);
    }
  }
  return { cosines, sines };
}
