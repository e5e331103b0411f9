// npm start: installs, builds the page, serves it and opens it. `npm start -- --dev` serves the
// sources with live reload instead.
import { spawn } from 'node:child_process';
import { ensureInstalled, say } from './setup.mjs';

const options = process.argv.slice(2);
const unknown = options.find((option) => !['--dev', '--no-open', '--help'].includes(option));
if (unknown || options.includes('--help')) {
  say(`${unknown ? `Unknown option ${unknown}\n` : ''}npm start [-- --dev] [--no-open]`);
  process.exit(unknown ? 2 : 0);
}

/**
 * Opens the address in the person's browser, where there is a display to open it on.
 * @param {string} address
 */
function openBrowser(address) {
  /** @type {Partial<Record<NodeJS.Platform, [string, string[]]>>} */
  const commands = { darwin: ['open', [address]], win32: ['cmd', ['/c', 'start', '', address]] };
  const display = process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  /** @type {[string, string[]] | undefined} */
  const elsewhere = display ? ['xdg-open', [address]] : undefined;
  const command = commands[process.platform] ?? elsewhere;
  if (!command || process.env.CI || options.includes('--no-open')) return;
  spawn(command[0], command[1], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}

ensureInstalled();
const vite = await import('vite');
let server;
if (options.includes('--dev')) {
  server = await vite.createServer({ logLevel: 'warn', server: { port: 4173 } });
  await server.listen();
} else {
  say('Building the page …');
  await vite.build({ logLevel: 'warn' });
  server = await vite.preview({ logLevel: 'warn', preview: { port: 4173 } });
}
const address = server.resolvedUrls?.local[0] ?? '';
process.stdout.write(`\n  GuiLoMo Studio: ${address}\n  Ctrl-C stops it.\n\n`);
openBrowser(address);
const end = () => process.exit(0);
process.on('SIGINT', end);
process.on('SIGTERM', end);
