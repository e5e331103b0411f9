// What is installed where no Chromium is found, and what is said before.
import { afterEach, expect, test, vi } from 'vitest';
import { ensureChromium, findChromium, installers } from './chromium.mjs';

afterEach(() => vi.unstubAllEnvs());

/**
 * A machine without Chromium until the line that begins with `works` is run; what happens, in
 * order.
 * @param {string | null} works
 * @param {Partial<import('./chromium.mjs').Machine>} given
 */
function machine(works, { isDebian = true, rights = 'sudo' } = {}) {
  /** @type {string[]} */
  const log = [];
  /** @type {string | undefined} */
  let installed;
  /** @type {import('./chromium.mjs').Tools} */
  const tools = {
    find: () => installed,
    say: (message) => log.push(`say ${message}`),
    machine: () => ({ isDebian, rights }),
    run: (line) => {
      log.push(`run ${line.join(' ')}`);
      if (works && line.join(' ').includes(works)) installed = '/usr/bin/chromium';
      return true;
    },
  };
  return { log, tools };
}

test('before anything is installed it is said what, and how to name one that is there', () => {
  /** @type {Parameters<typeof machine>[1][]} */
  const machines = [{}, { isDebian: false }, { rights: null }, { rights: 'root' }];
  for (const given of machines) {
    const { log, tools } = machine('playwright install', given);
    expect(ensureChromium(tools)).toBe('/usr/bin/chromium');
    expect(log.findIndex((line) => line.startsWith('say '))).toBe(0);
    for (const { what } of installers(tools.machine())) expect(log[0]).toContain(what);
    expect(log[0]).toContain('the environment variable CHROMIUM');
    for (const [i, line] of log.entries())
      if (line.startsWith('run ')) expect(log[i - 1]).toBe(`say ${line.slice(4)} …`);
  }
});

test("the system's package is enough; without rights nothing of the system is touched", () => {
  const { log, tools } = machine('apt-get -q install');
  ensureChromium(tools);
  expect(log.filter((line) => line.includes('playwright'))).toEqual([]);
  const [only, ...others] = installers({ isDebian: true, rights: null });
  expect([only.lines, others]).toEqual([[['npx', 'playwright', 'install', 'chromium']], []]);
});

test('where none can be installed the error says how to name one', () => {
  const { tools } = machine(null);
  expect(() => ensureChromium(tools)).toThrow('the environment variable CHROMIUM');
});

test('the one that CHROMIUM names is used, and must be there', () => {
  vi.stubEnv('CHROMIUM', process.execPath);
  expect(findChromium()).toBe(process.execPath);
  vi.stubEnv('CHROMIUM', '/no/such/file');
  expect(() => findChromium()).toThrow('CHROMIUM=/no/such/file: no such file');
});
