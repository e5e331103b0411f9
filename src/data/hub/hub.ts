// Models on the Hugging Face Hub: id and revision to a commit and its files, and which of them make
// a model that can be loaded.
import { listFiles, modelInfo } from '@huggingface/hub';
import { InputError, isInputError } from '../../util/error.ts';
import { type HubAccess, Passing, patiently, request } from './hub-request.ts';

/** A file at a commit. */
export interface HubFile {
  path: string;
  /** Bytes. */
  size: number;
  /** git's id of the content, or of the pointer to it. */
  gitSha1: string;
  /** Of the content of a large file (LFS); null for one that lies in git. */
  sha256: string | null;
}

/** A set of files that make a model. */
export interface HubModel {
  id: string;
  /** As it was asked for, and the commit that it stood for. */
  revision: string;
  commit: string;
  /** The one .gguf file; null: safetensors. */
  gguf: string | null;
  files: HubFile[];
  bytes: number;
}

const idPattern = /^(?:[\w.-]+\/)?[\w.-]+$/;

/** An id as it is typed, or the address of a model's page. @throws InputError('bad-option') */
export function parseModelId(text: string): string {
  const id = text
    .trim()
    .replace(/^(https?:\/\/)?(www\.)?(huggingface\.co|hf\.co)\//, '')
    .replace(/(\/tree\/.*)?\/*$/, '');
  if (!idPattern.test(id) || id.includes('..'))
    throw new InputError('bad-option', `“${text.trim()}” is not a model id: write owner/name.`);
  return id;
}

/**
 * What of a model can be loaded: its safetensors, else each of its .gguf files; at the commit that
 * the revision stands for now.
 * @throws InputError('hub' or 'bad-option') saying what is wrong with id, revision, token or
 *   connection, or that nothing can be loaded
 */
export async function findModel(
  text: string,
  revision: string,
  access: HubAccess,
): Promise<HubModel[]> {
  const id = parseModelId(text);
  const what = `${id}, revision ${revision}`;
  const ask: typeof fetch = (input, init) =>
    patiently(access, what, () => {
      const tooSlow = AbortSignal.timeout(access.patience.stall * 1000);
      const signal = access.signal ? AbortSignal.any([access.signal, tooSlow]) : tooSlow;
      return request(access, what, String(input), { ...init, signal });
    });
  try {
    const hub = { hubUrl: access.address, fetch: ask };
    const { name, sha: commit } = await modelInfo({
      name: id,
      revision,
      additionalFields: ['sha'],
      ...hub,
    });
    if (!/^[0-9a-f]{40}$/.test(commit))
      throw new InputError('hub', `${what}: the Hub gave no commit.`);
    const files: HubFile[] = [];
    for await (const { type, path, size, oid, lfs } of listFiles({
      repo: { type: 'model', name },
      revision: commit,
      ...hub,
    }))
      if (type === 'file')
        files.push({ path, size, gitSha1: String(oid), sha256: lfs?.oid ?? null });
    return offersOf({ id: name, revision, commit }, files);
  } catch (error) {
    access.signal?.throwIfAborted();
    if (isInputError(error)) throw error;
    throw new InputError(
      'hub',
      `${what}: the Hub's answer cannot be read (${error instanceof Error ? error.message : error}).`,
    );
  }
}

const longestConfig = 2 ** 20;

/** The config.json of an offer of safetensors, as text. @throws InputError('hub', 'bad-config') */
export async function offeredConfig(
  { id, commit }: Pick<HubModel, 'id' | 'commit'>,
  access: HubAccess,
): Promise<string> {
  const what = `${id}/config.json`;
  return patiently(access, what, async () => {
    const response = await request(
      access,
      what,
      `${access.address}/${id}/resolve/${commit}/config.json`,
      {
        signal: AbortSignal.timeout(access.patience.stall * 1000),
      },
    );
    if (Number(response.headers.get('Content-Length')) > longestConfig)
      throw new InputError('bad-config', `${what} is longer than 1 MiB.`);
    const text = await response.text().catch(() => null);
    if (text === null) throw new Passing('the connection was lost');
    return text;
  });
}

const companions = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
];
const weights = /^model(-\d+-of-\d+)?\.safetensors$/;

/**
 * Safetensors with their companions where they are there, else the .gguf files; parts of split ones
 * are left out.
 */
function offersOf(
  model: { id: string; revision: string; commit: string },
  files: readonly HubFile[],
): HubModel[] {
  const offer = (gguf: string | null, chosen: HubFile[]): HubModel => ({
    ...model,
    gguf,
    files: chosen,
    bytes: chosen.reduce((sum, { size }) => sum + size, 0),
  });
  const whole = files.some(({ path }) => path === 'model.safetensors');
  const needed = (path: string) =>
    companions.includes(path) ||
    (whole
      ? path === 'model.safetensors'
      : weights.test(path) || path === 'model.safetensors.index.json');
  if (
    files.some(({ path }) => path === 'config.json') &&
    files.some(({ path }) => weights.test(path))
  )
    return [
      offer(
        null,
        files.filter(({ path }) => needed(path)),
      ),
    ];
  const ggufs = files.filter(
    ({ path }) => /\.gguf$/i.test(path) && !/-\d+-of-\d+\.gguf$/i.test(path),
  );
  if (ggufs.length === 0) {
    const names = files.map(({ path }) => path).slice(0, 5);
    throw new InputError(
      'bad-model',
      `${model.id}: there are neither safetensors with a config.json nor a .gguf file (${names.join(', ')}, …).`,
    );
  }
  return ggufs.map((file) => offer(file.path, [file]));
}
