// logits: what the model says of every position of given token ids, as a safetensors file.
import { writeFileSync } from 'node:fs';
import { writeSafetensors } from '../../data/weights/safetensors.ts';
import { forwardLogits } from '../../model/forward.ts';
import { InputError } from '../../util/error.ts';
import { command } from '../command.ts';
import { checkAdapter, checkModel, openModel, placeAdapter, readJson, shared } from '../inputs.ts';
import { required, text } from '../options.ts';
import { checkOutputFile } from '../outputs.ts';

export const logits = command({
  name: 'logits',
  summary: 'compute the logits at every position of given token ids',
  details: 'The file gets one tensor, logits (rows, length, vocabulary) in f32.',
  options: {
    model: required(shared.model),
    adapter: shared.adapter,
    input: required(text('FILE', 'JSON: rows of token ids of equal lengths, [[…],[…]]')),
    out: required(text('FILE', 'the safetensors file to write')),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    checkOutputFile(o.out);
    const model = await checkModel(o.model);
    const adapter = await checkAdapter(o.adapter, model);
    const { vocab } = model.config;
    const ids = idRows(await readJson(o.input, 'bad-data'), o.input, vocab);
    const loaded = await openModel(context, model, o.kernels);
    const layout = placeAdapter(loaded, adapter);
    const seqLen = ids[0].length;
    const perPart = Math.max(1, Math.floor(loaded.gpu.maxBinding / (seqLen * vocab * 4)));
    const data = new Float32Array(ids.length * seqLen * vocab);
    for (let at = 0; at < ids.length; at += perPart) {
      data.set(
        await forwardLogits(loaded, layout, ids.slice(at, at + perPart), o.input),
        at * seqLen * vocab,
      );
      context.progress.update('Rows', Math.min(ids.length, at + perPart), ids.length);
    }
    writeFileSync(
      o.out,
      writeSafetensors(
        [{ name: 'logits', dtype: 'F32', shape: [ids.length, seqLen, vocab], data }],
        {
          format: 'pt',
        },
      ),
    );
    context.progress.note(`Written: ${o.out}, logits [${ids.length}, ${seqLen}, ${vocab}]`);
    return 0;
  },
});

/** Rows of token ids, equally long and within the vocabulary. */
function idRows(json: unknown, where: string, vocab: number): number[][] {
  const fail = (what: string) => new InputError('bad-data', `${where}: ${what}.`);
  if (!Array.isArray(json) || json.length === 0)
    throw fail('expected rows of token ids, [[…],[…]]');
  const rows: unknown[] = json;
  const seqLen = Array.isArray(rows[0]) ? rows[0].length : 0;
  return rows.map((row, r) => {
    if (!Array.isArray(row) || row.length === 0)
      throw fail(`row ${r + 1} is not a list of token ids, or is empty`);
    if (row.length !== seqLen)
      throw fail(
        `row ${r + 1} has ${row.length} ids, the first has ${seqLen}; all must be equally long`,
      );
    const bad = row.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
    if (bad >= 0)
      throw fail(
        `row ${r + 1} has ${JSON.stringify(row[bad])} at position ${bad}; token ids are 0 to ${vocab - 1}`,
      );
    return row as number[];
  });
}
