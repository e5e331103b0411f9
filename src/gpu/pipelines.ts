// Compiles kernels to pipelines once each, with compile errors that quote the WGSL line.
import type { Gpu } from './device.ts';
import { type Kernel, kernelKey } from './kernel.ts';

/** A compiled kernel and the layout of its one bind group. */
export interface Pipeline {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
}

const caches = new WeakMap<GPUDevice, Map<string, Promise<Pipeline>>>();

function layoutOf(gpu: Gpu, kernel: Kernel): GPUBindGroupLayout {
  const entries: GPUBindGroupLayoutEntry[] = kernel.bindings.map((b, binding) => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    buffer: { type: b.access === 'read' ? 'read-only-storage' : 'storage' },
  }));
  const uniforms = (kernel.params.length > 0 ? 1 : 0) + (kernel.usesStep ? 1 : 0);
  for (let i = 0; i < uniforms; i++)
    entries.push({
      binding: kernel.bindings.length + i,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: 'uniform' },
    });
  return gpu.device.createBindGroupLayout({ label: kernel.name, entries });
}

async function compile(gpu: Gpu, kernel: Kernel): Promise<Pipeline> {
  const { device } = gpu;
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: kernel.name, code: kernel.code });
  const layout = layoutOf(gpu, kernel);
  const descriptor: GPUComputePipelineDescriptor = {
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main', constants: kernel.constants },
  };
  const made = device.createComputePipelineAsync(descriptor).then(
    (pipeline) => ({ pipeline, error: null }),
    (error: unknown) => ({ pipeline: null, error }),
  );
  const scope = device.popErrorScope();
  const { pipeline, error } = await made;
  const validation = await scope;
  if (pipeline && !validation) return { pipeline, layout };
  const info = await module.getCompilationInfo();
  const lines = kernel.code.split('\n');
  const quoted = info.messages.map(
    (m) =>
      `  line ${m.lineNum}:${m.linePos} ${m.message}\n    ${lines[m.lineNum - 1]?.trim() ?? ''}`,
  );
  throw new Error(
    [
      `Kernel ${kernel.name} does not compile: ${validation?.message ?? String(error)}`,
      ...quoted,
    ].join('\n'),
  );
}

/**
 * The pipeline of a kernel, compiled on first use and shared by all programs of the device. One that
 * failed is compiled again when it is next asked for.
 */
export function pipelineOf(gpu: Gpu, kernel: Kernel): Promise<Pipeline> {
  const cache = caches.get(gpu.device) ?? new Map<string, Promise<Pipeline>>();
  caches.set(gpu.device, cache);
  const key = kernelKey(kernel);
  let made = cache.get(key);
  if (!made) {
    made = compile(gpu, kernel);
    cache.set(key, made);
    made.catch(() => cache.delete(key));
  }
  return made;
}
