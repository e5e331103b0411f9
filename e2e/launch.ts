// Opens the built page in a headless Chromium with WebGPU, for the end-to-end tests.
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright';
import { inject } from 'vitest';
import { chromiumFlags, findChromium } from '../scripts/chromium.mjs';

/** A page on the app, and what went wrong on it so far. */
export interface OpenPage {
  page: Page;
  browser: Browser;
  /** The app's address, with a slash at its end. */
  address: string;
  /** Uncaught errors and console errors, in order. */
  errors: string[];
  close(): Promise<void>;
}

/** Where the built page is served. */
export const address = (): string => inject('address');

/** Launches Chromium, with further flags; `webgpu: false` gives one without WebGPU. */
export function launchChromium(
  options: { webgpu?: boolean; args?: string[] } = {},
): Promise<Browser> {
  const webgpu = options.webgpu ?? true;
  const flags = webgpu
    ? chromiumFlags
    : [
        ...chromiumFlags.filter((flag) => !flag.includes('webgpu')),
        '--disable-features=WebGPU,WebGPUService',
      ];
  return chromium.launch({
    executablePath: findChromium(),
    headless: true,
    args: [...flags, ...(options.args ?? [])],
  });
}

/**
 * Launches Chromium and opens the app in a page of its own, with any of Playwright's context
 * options (viewport, colour scheme, …).
 */
export async function openApp(
  options: {
    webgpu?: boolean;
    args?: string[];
    context?: BrowserContextOptions;
    path?: string;
  } = {},
): Promise<OpenPage> {
  const browser = await launchChromium(options);
  const context = await browser.newContext({ acceptDownloads: true, ...options.context });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(address() + (options.path ?? ''));
  return { page, browser, address: address(), errors, close: () => browser.close() };
}
