// Measuring the device: real figures, on a device that is gone afterwards, also where it is
// cancelled or fails.
import { expect, test, vi } from 'vitest';
import type { BenchmarkProgress } from '../protocol/benchmark.ts';
import { benchmark } from './benchmark.ts';

async function provider(): Promise<{ gpu: GPU; devices: GPUDevice[] }> {
  const real =
    globalThis.navigator?.gpu ?? (await (await import('../../cli/dawn.ts')).dawnProvider());
  const devices: GPUDevice[] = [];
  const gpu = {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await real.requestAdapter(options);
      const request = adapter!.requestDevice.bind(adapter);
      adapter!.requestDevice = async (descriptor) => {
        const device = await request(descriptor);
        devices.push(device);
        return device;
      };
      return adapter;
    },
  } as GPU;
  return { gpu, devices };
}
const choices = { environment: 'test', read: async () => null, write: async () => undefined };
const lost = async ([device]: GPUDevice[]) => (await device.lost).reason;

test('the cases asked for are measured in order, and the device is gone then', async () => {
  const { gpu, devices } = await provider();
  const seen: BenchmarkProgress[] = [];
  const report = await benchmark(gpu, 'device/', choices, new AbortController().signal, (p) =>
    seen.push(p),
  );
  expect(seen.map(({ name, done, total }) => [name, done, total])).toEqual([
    ['device/multiply-add', 0, 2],
    ['device/copy', 1, 2],
  ]);
  const [loop, copy] = report.rows;
  expect([loop.gflops > 0, loop.ofLoop, copy.bandwidth! > 0]).toEqual([true, 100, true]);
  expect([report.measured, report.cases, report.problem]).toEqual([2, 2, null]);
  expect(report.text).toContain('device/copy');
  expect(JSON.parse(report.json).cases).toHaveLength(2);
  expect(await lost(devices)).toBe('destroyed');
});

test('cancelled, it ends with what was measured; an unknown name is rejected', async () => {
  const { gpu, devices } = await provider();
  const cancel = new AbortController();
  const report = await benchmark(gpu, 'device/', choices, cancel.signal, ({ done }) => {
    if (done === 1) cancel.abort();
  });
  expect([report.measured, report.cases, report.problem]).toEqual([1, 2, null]);
  expect(report.rows.map(({ name }) => name)).toEqual(['device/multiply-add']);
  expect(await lost(devices)).toBe('destroyed');
  const other = await provider();
  await expect(
    benchmark(other.gpu, 'nowhere', choices, new AbortController().signal, vi.fn()),
  ).rejects.toThrow('No case has nowhere in its name');
  expect(await lost(other.devices)).toBe('destroyed');
});

test('an error of the device names the case', async () => {
  const { gpu, devices } = await provider();
  const report = await benchmark(
    gpu,
    'device/',
    choices,
    new AbortController().signal,
    ({ done }) => {
      if (done === 1) devices[0].createBuffer({ size: 4, usage: 0xffff });
    },
  );
  expect(report.measured).toBe(1);
  expect(report.problem).toMatch(/^device\/copy: GPU error/);
  expect(await lost(devices)).toBe('destroyed');
});
