// WebGPU under Node: Dawn's provider from the `webgpu` package.

// Dawn aborts the process when the provider is collected, so it is kept for good.
let provider: GPU | null = null;

/** The process's Dawn provider; also installs WebGPU's constants (GPUBufferUsage, …) as globals. */
export async function dawnProvider(): Promise<GPU> {
  if (provider) return provider;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  provider = create([]) as GPU;
  return provider;
}
