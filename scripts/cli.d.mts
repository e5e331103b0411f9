// Types of cli.mjs.
export function ensureCli(): Promise<string>;
export function cliEnvironment(): NodeJS.ProcessEnv;
