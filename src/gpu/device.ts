// Opens a WebGPU device from any provider (browser, worker, Dawn under Node) and keeps its limits
// and error policy.
import { InputError } from '../util/error.ts';
import { Allocator, BufferCounts, type Use } from './allocator.ts';

/** What decides which kernels a device can run. */
export interface DeviceTraits {
  /** Sizes of its subgroups, where it has them. */
  subgroup: { min: number; max: number } | null;
  /** Bytes of workgroup memory. */
  workgroupBytes: number;
  /** Whether WGSL may have half floats. */
  f16: boolean;
}

/** Whether a device may be a renderer on a CPU, whose subgroups are the lanes of its vectors. */
export const mayBeCpu = ({ subgroup }: DeviceTraits): boolean =>
  subgroup === null || subgroup.max <= 8;

/** A device with its limits and what the kernels may use of it. */
export interface Gpu extends DeviceTraits {
  device: GPUDevice;
  name: string;
  software: boolean;
  timestamps: boolean;
  /** Bytes of one storage binding at most, and of one buffer, which is bound whole. */
  maxBinding: number;
  /** Makes and owns all buffers, and their counts. */
  allocator: Allocator;
  created: BufferCounts;
  /** Throws the first error that the device reported outside a scope, or that it is lost. */
  check(): void;
  /** Called once on the first such error. */
  onError: ((message: string) => void) | null;
  destroy(): void;
}

const WANTED: Record<string, number> = {
  maxStorageBufferBindingSize: 2 ** 31,
  maxBufferSize: 2 ** 32,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 256,
};
// SwiftShader reports 1 GiB but fails at exactly that size.
const SAFE_BINDING = 1020 * 2 ** 20;

const describe = (info: GPUAdapterInfo): string =>
  [info.description, info.vendor, info.architecture]
    .filter((s, i, all) => s && all.indexOf(s) === i)
    .join(' · ') || 'unnamed adapter';

function usageOf(use: Use): number {
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ, QUERY_RESOLVE } = GPUBufferUsage;
  const usages: Record<Use, number> = {
    storage: STORAGE | COPY_SRC | COPY_DST,
    uniform: UNIFORM | COPY_DST,
    staging: MAP_READ | COPY_DST,
    timestamps: QUERY_RESOLVE | COPY_SRC,
  };
  return usages[use];
}

/**
 * A device that only counts: what is made on it has a size and no memory, and what is written to it
 * is gone. Nothing can be compiled or run.
 */
export function dryGpu(): Gpu {
  const created = new BufferCounts();
  const make = (label: string, size: number) =>
    ({ label, size, destroy: () => undefined }) as GPUBuffer;
  return {
    device: { queue: { writeBuffer: () => undefined } } as unknown as GPUDevice,
    name: 'no device',
    software: true,
    subgroup: null,
    workgroupBytes: 0,
    f16: false,
    timestamps: false,
    maxBinding: Number.POSITIVE_INFINITY,
    allocator: new Allocator(make, created),
    created,
    check: () => undefined,
    onError: null,
    destroy: () => undefined,
  };
}

/**
 * Opens the device of a fresh adapter.
 * @throws InputError `no-webgpu` with what to do, when there is no provider or no adapter.
 */
export async function createGpu(provider: GPU | undefined): Promise<Gpu> {
  if (!provider)
    throw new InputError(
      'no-webgpu',
      'This browser has no WebGPU, or the page is not served over https or from localhost.',
    );
  const adapter = await provider.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter)
    throw new InputError(
      'no-webgpu',
      'WebGPU found no graphics adapter: graphics acceleration is off, or the browser blocks this GPU.',
    );
  const features = (['subgroups', 'timestamp-query', 'shader-f16'] as GPUFeatureName[]).filter(
    (f) => adapter.features.has(f),
  );
  const limits = adapter.limits as unknown as Record<string, number>;
  const requiredLimits = Object.fromEntries(
    Object.entries(WANTED).map(([k, v]) => [k, Math.min(limits[k], v)]),
  );
  const device = await adapter.requestDevice({ requiredFeatures: features, requiredLimits });
  const info = adapter.info as GPUAdapterInfo & {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  };
  const described = `${info.description} ${info.architecture} ${info.vendor}`;
  const created = new BufferCounts();
  const make = (label: string, size: number, use: Use) =>
    device.createBuffer({ label, size, usage: usageOf(use) });
  let failure: string | null = null;
  const gpu: Gpu = {
    device,
    name: describe(info),
    software: /swiftshader|llvmpipe|basic render/i.test(described),
    subgroup: device.features.has('subgroups')
      ? { min: info.subgroupMinSize ?? 4, max: info.subgroupMaxSize ?? 128 }
      : null,
    timestamps: device.features.has('timestamp-query'),
    workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
    f16: device.features.has('shader-f16'),
    maxBinding: Math.min(
      device.limits.maxStorageBufferBindingSize,
      device.limits.maxBufferSize,
      /swiftshader/i.test(described) ? SAFE_BINDING : Number.POSITIVE_INFINITY,
    ),
    allocator: new Allocator(make, created),
    created,
    onError: null,
    check: () => {
      if (failure) throw new Error(failure);
    },
    destroy: () => device.destroy(),
  };
  const fail = (message: string) => {
    if (failure) return;
    failure = message;
    gpu.onError?.(message);
  };
  device.addEventListener('uncapturederror', (e) => fail(`GPU error: ${e.error.message}`));
  device.lost.then((lost) => {
    if (lost.reason !== 'destroyed') fail(`The GPU device was lost: ${lost.message}`);
  });
  return gpu;
}
