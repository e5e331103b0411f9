// Time of every dispatch of a program, by timestamp queries.

import { readBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Program } from './program.ts';
import { bytesOf } from './tensor.ts';

/** Time and work of all dispatches with one label. */
export interface ProfileRow {
  label: string;
  kernel: string;
  count: number;
  milliseconds: number;
  flops: number;
  /** Workgroups of the smallest launch; bytes of all operands of all launches, each once a launch. */
  workgroups: number;
  bytes: number;
}

const MOST_QUERIES = 4096;

/**
 * Replays a program once with a timed pass a dispatch and sums by label, longest first. Timing
 * splits passes, so a profile says where time goes, not how long a step takes.
 * @throws where the device has no timestamp queries
 */
export async function profile(gpu: Gpu, program: Program): Promise<ProfileRow[]> {
  if (!gpu.timestamps)
    throw new Error(`${gpu.name} has no timestamp queries, which a profile needs.`);
  const count = program.commands.length;
  const rows = new Map<string, ProfileRow>();
  const part = MOST_QUERIES / 2;
  const sets = Array.from({ length: Math.ceil(count / part) }, () =>
    gpu.device.createQuerySet({ type: 'timestamp', count: MOST_QUERIES }),
  );
  program.replay({ timestamps: sets });
  for (const [n, set] of sets.entries()) {
    const used = Math.min(part, count - n * part) * 2;
    const buffer = gpu.allocator.create('other', 'timestamps', used * 8, 'timestamps');
    const encoder = gpu.device.createCommandEncoder();
    encoder.resolveQuerySet(set, 0, used, buffer, 0);
    gpu.device.queue.submit([encoder.finish()]);
    const times = new BigUint64Array(await readBuffer(gpu, buffer, 0, used * 8));
    for (let i = 0; i < used / 2; i++) {
      const command = program.commands[n * part + i];
      if (command.type !== 'dispatch') continue;
      const row = rows.get(command.label) ?? {
        label: command.label,
        kernel: command.kernel.name,
        count: 0,
        milliseconds: 0,
        flops: 0,
        workgroups: Number.POSITIVE_INFINITY,
        bytes: 0,
      };
      row.count++;
      row.milliseconds += Number(times[2 * i + 1] - times[2 * i]) / 1e6;
      row.flops += command.flops;
      row.workgroups = Math.min(
        row.workgroups,
        command.workgroups.reduce((a, b) => a * b),
      );
      row.bytes += [...new Set(command.tensors)].reduce((sum, t) => sum + bytesOf(t), 0);
      rows.set(command.label, row);
    }
    gpu.allocator.free(buffer);
    set.destroy();
  }
  return [...rows.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
