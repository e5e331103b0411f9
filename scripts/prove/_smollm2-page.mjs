// In the browser: figures of the GGUF file that was chosen in the page's input. Driven by
// smollm2.mjs.
import { blobSource, folderOf } from '../../src/data/source.ts';
import { smollm2Figures } from './_smollm2-run.mjs';

globalThis.figures = (task) => {
  const file = document.querySelector('input')?.files?.[0];
  if (!file) throw new Error('no file was chosen');
  return smollm2Figures(
    navigator.gpu,
    folderOf('SmolLM2', [blobSource(file, file.name)]),
    task,
    console.log,
  );
};
globalThis.ready = true;
