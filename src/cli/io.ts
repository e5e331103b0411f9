// What a command may do outside itself: results to stdout, notes and progress to stderr, a GPU, and
// Ctrl-C.
import { createGpu, type Gpu } from '../gpu/device.ts';
import { InputError, isInputError } from '../util/error.ts';
import { dawnProvider } from './dawn.ts';

/** The process as a command sees it; tests have their own. */
export interface Io {
  /** Writes to stdout: results only. */
  out(text: string): void;
  /** Writes to stderr. */
  err(text: string): void;
  /** stderr is a terminal. */
  terminal: boolean;
  openGpu(): Promise<Gpu>;
  /**
   * Calls `stop` at the first Ctrl-C from now on; a second one ends the process. The function
   * returned ends that.
   */
  onInterrupt(stop: () => void): () => void;
}

/**
 * Ctrl-C reaches us from the terminal and again through the starter and npm: within this time it is
 * one.
 */
const SAME_INTERRUPT = 1000;

/** This process. */
export function processIo(): Io {
  // A reader that has seen enough (`… | head`) is no failure.
  process.stdout.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code === 'EPIPE') process.exit(0);
    throw e;
  });
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    terminal: process.stderr.isTTY === true,
    openGpu,
    onInterrupt: (stop) => {
      let first = 0;
      const handler = () => {
        if (first === 0) {
          first = performance.now();
          stop();
        } else if (performance.now() - first > SAME_INTERRUPT) process.exit(130);
      };
      process.on('SIGINT', handler);
      process.on('SIGTERM', handler);
      return () => {
        process.off('SIGINT', handler);
        process.off('SIGTERM', handler);
      };
    },
  };
}

async function openGpu(): Promise<Gpu> {
  try {
    return await createGpu(await dawnProvider());
  } catch (e) {
    if (!isInputError(e)) throw e;
    const hint =
      'install a graphics driver with Vulkan, Metal or Direct3D 12, or a Chromium for its software renderer';
    throw new InputError('no-webgpu', `Dawn found no WebGPU adapter: ${hint}.`);
  }
}
