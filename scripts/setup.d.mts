// Types of setup.mjs.
export const root: string;
export function say(message: string): void;
export function minutes(milliseconds: number): string;
export function ensureInstalled(): void;
