// Types of dawn.mjs.
export function dawnEnvironment(): Record<string, string>;
