// WebGPU under Node: Dawn's provider from the `webgpu` package.

// Dawn aborts the process when the provider is collected, so it is kept for good.
let provider: GPU | null = null;

/**
 * The process's Dawn provider; also installs WebGPU's constants (GPUBufferUsage, …) as globals.
 * @param flags of Dawn, which the first call decides
 */
export async function dawnProvider(flags: string[] = []): Promise<GPU> {
  if (provider) return provider;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  provider = create(flags) as GPU;
  return provider;
}
