// Decides with which environment Node must start so that Dawn (npm `webgpu`) finds an adapter. A
// real GPU is never hidden.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ensureChromium, swiftshader } from './chromium.mjs';
import { messageOf, root, say } from './setup.mjs';

const cacheFile = join(root, 'node_modules/.cache/guilomo/dawn.json');

const probeCode = `
  import { create, globals } from 'webgpu';
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter();
  const info = adapter?.info;
  console.log(JSON.stringify(info ? { name: info.description || info.device || info.architecture, software: info.isFallbackAdapter === true } : null));
  process.exit(0);`;

/**
 * The adapter that Dawn gives a fresh Node with these variables added, or null.
 * @param {Record<string, string>} variables
 * @returns {{ name: string, software: boolean } | null}
 */
function probe(variables) {
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', probeCode], {
    cwd: root,
    env: { ...process.env, ...variables },
    encoding: 'utf8',
    timeout: 60000,
  });
  const line = result.status === 0 ? result.stdout.trim().split('\n').at(-1) : '';
  const adapter = line ? JSON.parse(line) : null;
  return (
    adapter && {
      ...adapter,
      software: adapter.software || /swiftshader|llvmpipe|lavapipe/i.test(adapter.name),
    }
  );
}

/** What the decision depends on: another machine, driver or variable makes a new one. */
function circumstances() {
  const list = (/** @type {string} */ folder) =>
    existsSync(folder) ? readdirSync(folder).sort() : [];
  const devices = list('/dev').filter((name) => /^(nvidia|dri$|dxg|kfd)/.test(name));
  const drivers = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/dev/dri'].flatMap(list);
  const names = [
    'VK_DRIVER_FILES',
    'VK_ICD_FILENAMES',
    'VK_ADD_DRIVER_FILES',
    'LD_LIBRARY_PATH',
    'CHROMIUM',
  ];
  const dawn = JSON.parse(
    readFileSync(join(root, 'node_modules/webgpu/package.json'), 'utf8'),
  ).version;
  return JSON.stringify([
    hostname(),
    process.platform,
    process.arch,
    dawn,
    devices,
    drivers,
    names.map((name) => process.env[name] ?? null),
  ]);
}

/** @returns {{ adapter: string, variables: Record<string, string> } | undefined} */
function decide() {
  const own = probe({});
  if (own && (!own.software || process.env.VK_DRIVER_FILES))
    return { adapter: own.name, variables: {} };
  const driver = swiftshader(ensureChromium());
  if (driver) {
    const path = [driver.libraryDir, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
    // The system's own libvulkan.so.1 first, Chromium's copy where there is none.
    /** @type {Record<string, string>[]} */
    const libraries = driver.libraryDir ? [{}, { LD_LIBRARY_PATH: path }] : [{}];
    /** @type {Record<string, string>[]} */
    const drivers = process.env.VK_DRIVER_FILES ? [] : [{ VK_DRIVER_FILES: driver.icd }];
    for (const files of [{}, ...drivers]) {
      for (const library of libraries) {
        const variables = { ...files, ...library };
        const adapter = probe(variables);
        if (adapter && (!adapter.software || files.VK_DRIVER_FILES || process.env.VK_DRIVER_FILES))
          return { adapter: adapter.name, variables };
      }
    }
  }
  return own ? { adapter: own.name, variables: {} } : undefined;
}

/**
 * Environment variables to add before starting a Node that uses Dawn: none where a hardware adapter
 * answers, else those that lead to the SwiftShader of a Chromium, which is installed if need be.
 * Decided once, then read from a cache. They include GUILOMO_DAWN, the adapter's name, by which
 * children know that it was decided. Returns {} with a message on stderr where no adapter can be
 * had: Dawn's user then reports that.
 * @returns {Record<string, string>}
 */
export function dawnEnvironment() {
  if (process.env.GUILOMO_DAWN) return {}; // a parent has decided
  const key = circumstances();
  if (existsSync(cacheFile)) {
    const cached = JSON.parse(readFileSync(cacheFile, 'utf8'));
    const driver = cached.variables?.VK_DRIVER_FILES;
    if (cached.key === key && (!driver || existsSync(driver)))
      return { ...cached.variables, GUILOMO_DAWN: cached.adapter };
  }
  let decision;
  try {
    decision = decide();
  } catch (error) {
    say(messageOf(error)); // no Chromium to be had
  }
  if (!decision) {
    say('Dawn found no WebGPU adapter: neither a GPU nor the SwiftShader of a Chromium.');
    return {};
  }
  say(`WebGPU under Node: ${decision.adapter}`);
  mkdirSync(dirname(cacheFile), { recursive: true });
  writeFileSync(cacheFile, JSON.stringify({ key, ...decision }));
  return { ...decision.variables, GUILOMO_DAWN: decision.adapter };
}
