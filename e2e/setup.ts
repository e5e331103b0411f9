// Builds the page once for all end-to-end tests and serves it; the address goes to them by
// `inject('address')`.
import { build, preview } from 'vite';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    address: string;
  }
}

/** vitest's global set-up: returns the tear-down. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const environment = process.env.NODE_ENV;
  // vitest says "test", which would take React's development build
  process.env.NODE_ENV = 'production';
  await build({ logLevel: 'warn' });
  process.env.NODE_ENV = environment;
  const server = await preview({ logLevel: 'warn', preview: { host: '127.0.0.1', port: 4273 } });
  project.provide('address', server.resolvedUrls!.local[0]);
  return () => server.close();
}
