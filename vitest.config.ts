// Which test files run where. Every test that needs a GPU is named *.gpu.test.ts and runs both
// under Node (Dawn) and in Chromium.
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { chromiumFlags, findChromium } from './scripts/chromium.mjs';
import { dawnEnvironment } from './scripts/dawn.mjs';

const gpuTests = ['src/**/*.gpu.test.ts'];
// As in src/testing/gpu.ts.
const testFlags = ['--enable-dawn-features=disable_workgroup_init'];
const ignored = ['**/node_modules/**', '**/dist/**'];

// Workers are started after this file is read, so Dawn's loader sees these.
Object.assign(process.env, dawnEnvironment());

export default defineConfig({
  optimizeDeps: { exclude: ['webgpu'] },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.{ts,tsx}', 'scripts/**/*.test.mjs'],
          exclude: [...gpuTests, ...ignored],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'kernels-node',
          include: gpuTests,
          exclude: ignored,
          pool: 'forks',
          maxWorkers: 1, // SwiftShader uses every core
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'kernels-chromium',
          include: gpuTests,
          exclude: ignored,
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: findChromium(),
                args: [...chromiumFlags, ...testFlags],
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.ts'],
          globalSetup: ['e2e/setup.ts'],
          pool: 'forks',
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
