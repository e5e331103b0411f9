// What the command line keeps between runs, in the user's cache folder.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ChoiceStore } from '../ops/choice-store.ts';

/** The folder for caches of this program, as the system has it. */
export function cacheFolder(
  platform: string = process.platform,
  env: Readonly<Record<string, string | undefined>> = process.env,
  home = homedir(),
): string {
  const base =
    platform === 'win32'
      ? (env.LOCALAPPDATA ?? join(home, 'AppData', 'Local'))
      : platform === 'darwin'
        ? join(home, 'Library', 'Caches')
        : env.XDG_CACHE_HOME || join(home, '.cache');
  return join(base, 'guilomo');
}

/** Kernels that were chosen, in a file of the cache folder. */
export function choicesIn(folder: string): ChoiceStore {
  const path = join(folder, 'kernels.json');
  return {
    environment: `Node ${process.version}`,
    read: async () => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return null;
      }
    },
    write: async (text) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    },
  };
}

export const cachedChoices = choicesIn(cacheFolder());
