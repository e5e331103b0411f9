// Under Node: figures of the GGUF file named first, as JSON on stdout; with a second name, only the
// initial adapter into that file. Built and started by smollm2.mjs.
import { readFileSync, writeFileSync } from 'node:fs';
import { dawnProvider } from '../../src/cli/dawn.ts';
import { fileSource } from '../../src/cli/files.ts';
import { folderOf } from '../../src/data/source.ts';
import { initialAdapter, smollm2Figures } from './_smollm2-run.mjs';

const [gguf, init] = process.argv.slice(2);
const task = JSON.parse(readFileSync(0, 'utf8'));
const folder = folderOf('SmolLM2', [fileSource(gguf)]);
if (init) writeFileSync(init, await initialAdapter(folder, task));
else {
  const say = (/** @type {string} */ message) => void process.stderr.write(`${message}\n`);
  process.stdout.write(
    JSON.stringify(await smollm2Figures(await dawnProvider(), folder, task, say)),
  );
}
process.exit(0); // Dawn keeps the process alive
