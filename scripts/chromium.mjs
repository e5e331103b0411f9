// Finds a Chromium or Chrome, or installs one, and says where its SwiftShader (a Vulkan driver for
// the CPU) lies.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { root, say } from './setup.mjs';

/**
 * Flags for headless WebGPU on any machine (SwiftShader where there is no GPU to be had), without
 * background networking.
 */
export const chromiumFlags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];

const onPath = (/** @type {string[]} */ names) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .flatMap((folder) => names.map((name) => join(folder, name)));

const usualPlaces = () => {
  if (process.platform === 'darwin') {
    return ['', homedir()].flatMap((home) => [
      `${home}/Applications/Chromium.app/Contents/MacOS/Chromium`,
      `${home}/Applications/Google Chrome.app/Contents/MacOS/Google Chrome`,
    ]);
  }
  if (process.platform === 'win32') {
    return [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA]
      .filter((folder) => folder !== undefined)
      .flatMap((folder) => [
        join(folder, 'Google/Chrome/Application/chrome.exe'),
        join(folder, 'Chromium/Application/chrome.exe'),
      ]);
  }
  return [
    '/usr/lib/chromium/chromium',
    '/usr/lib/chromium-browser/chromium-browser',
    '/opt/google/chrome/chrome',
    '/snap/bin/chromium',
  ];
};

/** Browsers that Playwright has downloaded, newest first. */
function playwrightPlaces() {
  const caches = [
    process.env.PLAYWRIGHT_BROWSERS_PATH,
    join(homedir(), '.cache/ms-playwright'),
    join(homedir(), 'Library/Caches/ms-playwright'),
    process.env.LOCALAPPDATA && join(process.env.LOCALAPPDATA, 'ms-playwright'),
  ];
  const inside = [
    'chrome-linux/chrome',
    'chrome-linux64/chrome',
    'chrome-win/chrome.exe',
    'chrome-win64/chrome.exe',
  ];
  for (const folder of ['chrome-mac', 'chrome-mac-arm64', 'chrome-mac-x64']) {
    inside.push(`${folder}/Chromium.app/Contents/MacOS/Chromium`);
    inside.push(`${folder}/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing`);
  }
  return caches
    .flatMap((cache) => (cache && existsSync(cache) ? [cache] : []))
    .flatMap((cache) =>
      readdirSync(cache)
        .filter((name) => /^chromium-\d+$/.test(name))
        .sort((a, b) => Number(b.slice(9)) - Number(a.slice(9)))
        .flatMap((name) => inside.map((path) => join(cache, name, path))),
    );
}

/**
 * Path of a Chromium or Chrome, or undefined. The environment variable CHROMIUM is obeyed, and an
 * error when it names no file.
 */
export function findChromium() {
  const given = process.env.CHROMIUM;
  if (given) {
    if (!existsSync(given)) throw new Error(`CHROMIUM=${given}: no such file`);
    return given;
  }
  const extension = process.platform === 'win32' ? '.exe' : '';
  const names = [
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    'chrome',
  ].map((name) => name + extension);
  return [...onPath(names), ...usualPlaces(), ...playwrightPlaces()].find((path) =>
    existsSync(path),
  );
}

/**
 * What would install a Chromium here, the first first: Debian's package where we may, then
 * Playwright's download.
 * @param {Machine} machine
 */
export function installers({ isDebian, rights }) {
  const apt = (/** @type {string[]} */ ...args) => {
    const line = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args];
    return rights === 'sudo' ? ['sudo', '-n', ...line] : line;
  };
  const withLibraries = rights ? ['--with-deps'] : [];
  const playwright = {
    what: `Playwright's Chromium${rights ? ' and the system libraries that it needs' : ''}`,
    lines: [['npx', 'playwright', 'install', ...withLibraries, 'chromium']],
  };
  if (!isDebian || !rights) return [playwright];
  // Ubuntu's package of this name is a snap, which may install nothing that runs: Playwright's is
  // tried after it.
  const lines = [apt('update'), apt('install', '-y', '--no-install-recommends', 'chromium')];
  return [{ what: "the system's package chromium", lines }, playwright];
}

/** How one that is there is named. */
const howToName = 'set the environment variable CHROMIUM to its path';

/**
 * @typedef {{ isDebian: boolean, rights: 'root' | 'sudo' | null }} Machine
 *
 * What installing needs of the machine.
 * @typedef {object} Tools
 * @property {() => string | undefined} find
 * @property {(message: string) => void} say
 * @property {() => Machine} machine
 * @property {(line: string[]) => boolean} run
 */

/** @type {Tools} */
const real = {
  find: findChromium,
  say,
  machine() {
    const isRoot = process.getuid?.() === 0;
    const canSudo = !isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
    const rights = isRoot ? 'root' : canSudo ? 'sudo' : null;
    return { isDebian: existsSync('/etc/debian_version'), rights };
  },
  run([command, ...args]) {
    const shell = process.platform === 'win32';
    return spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell }).status === 0;
  },
};

/**
 * Finds Chromium, or installs it: says first what it will install, and how to name one that is
 * there. Returns its path.
 */
export function ensureChromium(tools = real) {
  const found = tools.find();
  if (found) return found;
  const ways = installers(tools.machine());
  tools.say(
    `No Chromium or Chrome found. Installing ${ways.map(({ what }) => what).join(', or else ')}. To use your own, ${howToName}.`,
  );
  for (const { lines } of ways) {
    for (const line of lines) {
      tools.say(`${line.join(' ')} …`);
      tools.run(line);
    }
    const installed = tools.find();
    if (installed) return installed;
  }
  throw new Error(`No Chromium could be installed. Install one, or ${howToName}.`);
}

/**
 * Folders in which the files of this browser may lie: its own, behind links, and those that a
 * wrapper script names.
 * @param {string} chromium
 */
function ownFolders(chromium) {
  const real = realpathSync(chromium);
  const folders = [dirname(real), dirname(chromium)];
  const start = readFileSync(real).subarray(0, 65536);
  if (start.subarray(0, 2).toString() === '#!') {
    for (const [path] of start.toString('utf8').matchAll(/\/[\w./-]+/g))
      folders.push(path, dirname(path));
    for (const name of ['chromium', 'chromium-browser', 'google-chrome'])
      folders.push(`/usr/lib/${name}`, `/usr/lib64/${name}`);
    folders.push('/opt/google/chrome');
  }
  // A snap keeps the browser inside itself; on a Mac the drivers lie in the framework.
  folders.push('/snap/chromium/current/usr/lib/chromium-browser');
  const versions = join(dirname(real), '../Frameworks');
  if (existsSync(versions)) {
    for (const name of readdirSync(versions, { recursive: true, encoding: 'utf8' }))
      if (name.endsWith('vk_swiftshader_icd.json')) folders.push(dirname(join(versions, name)));
  }
  return [...new Set(folders)];
}

/**
 * SwiftShader's driver description and the folder with libvulkan.so.1, from the browser's own
 * files; undefined where it has none.
 * @param {string} chromium
 */
export function swiftshader(chromium) {
  const folder = ownFolders(chromium).find((path) =>
    existsSync(join(path, 'vk_swiftshader_icd.json')),
  );
  if (!folder) return undefined;
  return {
    icd: join(folder, 'vk_swiftshader_icd.json'),
    libraryDir: existsSync(join(folder, 'libvulkan.so.1')) ? folder : undefined,
  };
}
