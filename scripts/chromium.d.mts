// Types of chromium.mjs.
export const chromiumFlags: string[];
export function findChromium(): string | undefined;
export function ensureChromium(): string;
export function swiftshader(
  chromium: string,
): { icd: string; libraryDir: string | undefined } | undefined;
