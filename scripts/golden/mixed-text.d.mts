// Types of mixed-text.mjs.
export function mixedLines(): string[];
export const conversations: readonly { role: string; content: string }[][];
export const llama2Template: string;
