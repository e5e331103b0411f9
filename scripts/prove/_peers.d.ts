// What bench.mjs uses of the libraries that it compares with; it installs them itself.
declare module '@jax-js/jax' {
  export interface JaxArray {
    readonly ref: JaxArray;
    blockUntilReady(): Promise<unknown>;
    data(): Promise<ArrayLike<number>>;
    dispose?(): void;
  }
  export function init(device: string): Promise<unknown>;
  export function defaultDevice(device: string): unknown;
  export const numpy: {
    array(values: Float32Array, options: { shape: number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    transpose(a: JaxArray): JaxArray;
  };
}

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    data(): Promise<ArrayLike<number>>;
    dispose(): void;
  }
  export function setBackend(name: string): Promise<boolean>;
  export function ready(): Promise<void>;
  export function tensor2d(values: Float32Array, shape: [number, number]): Tensor;
  export function matMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor;
  export function slice(a: Tensor, begin: number[], size: number[]): Tensor;
}

declare module '@tensorflow/tfjs-backend-webgpu';
