// The tensors of a Hugging Face model folder: one model.safetensors, or shards named by
// model.safetensors.index.json.
import { InputError } from '../../util/error.ts';
import { parseJsonObject } from '../../util/json.ts';
import { type Folder, readAll } from '../source.ts';
import { openSafetensors, type TensorEntry } from './safetensors.ts';

const single = 'model.safetensors';
const index = 'model.safetensors.index.json';

/**
 * Opens every weight file of a model folder and returns its tensors by name.
 * Throws InputError when there is none, or when index and shards disagree; the message names file
 * and tensor.
 */
export async function openCheckpoint(folder: Folder): Promise<Map<string, TensorEntry>> {
  const whole = folder.open(single);
  if (whole) return new Map((await openSafetensors(whole)).entries);
  const indexFile = folder.open(index);
  if (!indexFile)
    throw new InputError(
      'missing-file',
      `${folder.name}: there is neither ${single} nor ${index}${hint(folder)}.`,
    );

  const bad = (what: string) => new InputError('bad-file', `${index}: ${what}.`);
  const { weight_map: map } = parseJsonObject(await readAll(indexFile), index, 'bad-file');
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw bad('there is no "weight_map" object');
  const wanted = new Map<string, string[]>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string')
      throw bad(`the file of tensor "${tensor}" is ${JSON.stringify(file)}, not a name`);
    wanted.set(file, [...(wanted.get(file) ?? []), tensor]);
  }
  if (wanted.size === 0) throw bad('"weight_map" names no tensor');
  const missing = [...wanted.keys()].filter((file) => !folder.open(file));
  if (missing.length > 0) {
    const names =
      missing.slice(0, 3).join(', ') +
      (missing.length > 3 ? ` and ${missing.length - 3} more` : '');
    throw new InputError(
      'missing-file',
      `${folder.name}: ${index} names ${wanted.size} weight files, but ${names} ${missing.length === 1 ? 'is' : 'are'} missing.`,
    );
  }

  const tensors = new Map<string, TensorEntry>();
  for (const [file, names] of wanted) {
    const { entries } = await openSafetensors(folder.open(file)!);
    for (const name of names) {
      const entry = entries.get(name);
      if (!entry) throw bad(`tensor "${name}" should be in ${file}, but is not`);
      tensors.set(name, entry);
    }
    for (const name of entries.keys()) {
      if (!Object.hasOwn(map, name))
        throw bad(`tensor "${name}" of ${file} is not in "weight_map"`);
      if ((map as Record<string, unknown>)[name] !== file)
        throw bad(`tensor "${name}" should be in another file, but is in ${file} too`);
    }
  }
  return tensors;
}

/** What else lies there that a person may have taken for the weights. */
function hint(folder: Folder): string {
  const others = folder.files
    .filter((f) => /\.(bin|pt|pth|gguf|h5|msgpack|safetensors)$/.test(f))
    .slice(0, 3);
  return others.length === 0 ? '' : ` (it has ${others.join(', ')}, which cannot be used)`;
}
