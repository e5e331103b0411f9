// Clocks that time a program on the device: timestamp queries, or waiting for the work to end.
import { idle, readBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Program } from './program.ts';

/** How long a replay of a program takes. */
export interface Clock {
  name: 'timestamp queries' | 'wall clock';
  /** Milliseconds of work below which it cannot tell programs apart. */
  least: number;
  /** Milliseconds of one replay of a program. */
  time(program: Program): Promise<number>;
}

/** Counts the device's work alone. Browsers round to 0.1 ms. */
const timestamps = (gpu: Gpu): Clock => ({
  name: 'timestamp queries',
  least: 5,
  async time(program) {
    const { device, allocator } = gpu;
    const queries = device.createQuerySet({ type: 'timestamp', count: 2 });
    const buffer = allocator.create('other', 'timestamps', 16, 'timestamps');
    try {
      program.replay({ flopsPerSubmit: Number.POSITIVE_INFINITY, bounds: queries });
      const encoder = device.createCommandEncoder();
      encoder.resolveQuerySet(queries, 0, 2, buffer, 0);
      device.queue.submit([encoder.finish()]);
      const [begin, end] = new BigUint64Array(await readBuffer(gpu, buffer));
      return Number(end - begin) / 1e6;
    } finally {
      allocator.free(buffer);
      queries.destroy();
    }
  },
});

/** Counts submitting and waiting too, which take up to two milliseconds. */
export const wallClock = ({ device }: Gpu): Clock => ({
  name: 'wall clock',
  least: 20,
  async time(program) {
    const start = performance.now();
    program.replay({ flopsPerSubmit: Number.POSITIVE_INFINITY });
    await idle(device.queue.onSubmittedWorkDone().then(() => undefined));
    return performance.now() - start;
  },
});

/** The better clock of a device. */
export const clockOf = (gpu: Gpu): Clock => (gpu.timestamps ? timestamps(gpu) : wallClock(gpu));
