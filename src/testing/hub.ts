// A hub that speaks the real one's routes: model info, tree, resolve with its redirects, Range,
// tokens, CORS; with faults on demand.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A model on the mock hub. */
export interface MockModel {
  id: string;
  commit: string;
  access?: 'open' | 'gated' | 'private';
  files: Record<string, { bytes: Uint8Array; lfs?: boolean }>;
}

/** What goes wrong with one request. */
export type Fault =
  | { kind: 'status'; status: number; retryAfter?: string }
  /** The connection is cut, or nothing more comes, after so many bytes. */
  | { kind: 'cut' | 'stall'; after: number }
  /** Pieces of so many bytes with a pause between them. */
  | { kind: 'slow'; piece: number; ms: number }
  | { kind: 'no-range' }
  | { kind: 'wrong-byte' };

/** A request for a file's content as it was answered. */
export interface Served {
  path: string;
  /** First byte that was asked for, and how many were sent. */
  from: number;
  sent: number;
}

export const TOKEN = 'hf_test';
const hex = (algorithm: string, ...data: (string | Uint8Array)[]) =>
  data
    .reduce((hash: ReturnType<typeof createHash>, d) => hash.update(d), createHash(algorithm))
    .digest('hex');
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The hub's routes; `hub` and `cdn` are its two origins, set once they are known. */
export class MockHub {
  hub = '';
  cdn = '';
  /** Faults of the next requests, by file or 'info' or 'tree'; used up one a request. */
  readonly faults = new Map<string, Fault[]>();
  readonly served: Served[] = [];
  /** A full page of the tree. */
  pageSize = 3;
  constructor(private readonly models: readonly MockModel[]) {}

  /** Bytes of a file that were sent, in all. */
  sent(path: string): number {
    return this.served.filter((s) => s.path === path).reduce((sum, s) => sum + s.sent, 0);
  }

  readonly handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.setHeader(
      'Access-Control-Expose-Headers',
      'X-Repo-Commit,X-Error-Code,X-Error-Message,Link,ETag,Content-Range,X-Linked-Size,X-Linked-ETag',
    );
    if (req.method === 'OPTIONS') {
      res.writeHead(200, { 'Access-Control-Allow-Headers': 'authorization, range' }).end();
      return;
    }
    const url = new URL(req.url!, this.hub);
    const path = decodeURIComponent(url.pathname);
    const cdn = /^\/repos\/(.+)\/([0-9a-f]{40})\/([^/]+)$/.exec(path);
    if (cdn) return this.#content(req, res, cdn[1], cdn[2], cdn[3]);
    const info = /^\/api\/models\/(.+)\/revision\/(.+)$/.exec(path);
    if (info) return this.#info(req, res, info[1], info[2]);
    const tree = /^\/api\/models\/(.+)\/tree\/([0-9a-f]{40})$/.exec(path);
    if (tree) return this.#tree(req, res, url, tree[1], tree[2]);
    const cache = /^\/api\/resolve-cache\/models\/(.+)\/([0-9a-f]{40})\/([^/]+)$/.exec(path);
    if (cache) return this.#content(req, res, cache[1], cache[2], cache[3]);
    const resolve = /^\/(.+)\/resolve\/([^/]+)\/([^/]+)$/.exec(path);
    if (resolve) return this.#resolve(req, res, resolve[1], resolve[2], resolve[3]);
    res.writeHead(404).end();
  };

  /** The model, when the request may see it; otherwise it is answered. */
  #model(
    req: IncomingMessage,
    res: ServerResponse,
    id: string,
    revision: string,
  ): MockModel | null {
    const model = this.models.find((m) => m.id === id);
    const { authorization } = req.headers;
    const known = authorization === `Bearer ${TOKEN}`;
    const refuse = (status: number, code: string | null, error: string) => {
      res.writeHead(status, {
        ...(code && { 'X-Error-Code': code }),
        'X-Error-Message': error,
        'Content-Type': 'application/json',
      });
      res.end(JSON.stringify({ error }));
      return null;
    };
    if (authorization && !known)
      return refuse(401, null, 'Invalid credentials in Authorization header');
    if (!model || (model.access === 'private' && !known))
      return refuse(
        known ? 404 : 401,
        'RepoNotFound',
        known ? 'Repository not found' : 'Invalid username or password.',
      );
    if (model.access === 'gated' && !known && !req.url!.startsWith('/api/models/'))
      return refuse(401, 'GatedRepo', `Access to model ${id} is restricted.`);
    if (revision !== 'main' && revision !== model.commit)
      return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    return model;
  }

  /** Answers with a status where that is the next fault; a list that stalls is never answered. */
  #fault(res: ServerResponse, key: string): Fault | null | 'answered' {
    const fault = this.faults.get(key)?.shift() ?? null;
    if (fault?.kind !== 'status') return fault;
    res
      .writeHead(
        fault.status,
        fault.retryAfter === undefined ? {} : { 'Retry-After': fault.retryAfter },
      )
      .end();
    return 'answered';
  }

  #listFault(res: ServerResponse, key: string): boolean {
    const fault = this.#fault(res, key);
    return fault === 'answered' || fault?.kind === 'stall';
  }

  #info(req: IncomingMessage, res: ServerResponse, id: string, revision: string): void {
    const model = this.#model(req, res, id, revision);
    if (!model || this.#listFault(res, 'info')) return;
    const gated = model.access === 'gated' ? 'manual' : false;
    res.setHeader('Content-Type', 'application/json');
    res.end(
      JSON.stringify({
        _id: '65',
        id,
        sha: model.commit,
        private: model.access === 'private',
        gated,
        lastModified: '2025-01-01T00:00:00.000Z',
      }),
    );
  }

  #tree(req: IncomingMessage, res: ServerResponse, url: URL, id: string, commit: string): void {
    const model = this.#model(req, res, id, commit);
    if (!model || this.#listFault(res, 'tree')) return;
    const entries = Object.entries(model.files).map(([path, { bytes, lfs }]) => {
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${hex('sha256', bytes)}\nsize ${bytes.length}\n`;
      const blob = lfs ? new TextEncoder().encode(pointer) : bytes;
      const oid = hex('sha1', `blob ${blob.length}\0`, blob);
      const large = {
        lfs: { oid: hex('sha256', bytes), size: bytes.length, pointerSize: blob.length },
      };
      return { type: 'file', oid, size: bytes.length, path, ...(lfs && large) };
    });
    const all = [
      { type: 'directory', oid: hex('sha1', 'onnx'), size: 0, path: 'onnx' },
      ...entries,
    ];
    const at = Number(url.searchParams.get('cursor') ?? 0);
    if (at + this.pageSize < all.length) {
      url.searchParams.set('cursor', String(at + this.pageSize));
      res.setHeader('Link', `<${this.hub}${url.pathname}${url.search}>; rel="next"`);
    }
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(all.slice(at, at + this.pageSize)));
  }

  /** Large files lie on another host, small ones behind a cache on the same. */
  #resolve(
    req: IncomingMessage,
    res: ServerResponse,
    id: string,
    revision: string,
    path: string,
  ): void {
    const model = this.#model(req, res, id, revision);
    if (!model) return;
    const file = model.files[path];
    if (!file) res.writeHead(404, { 'X-Error-Code': 'EntryNotFound' }).end();
    else if (file.lfs)
      res
        .writeHead(302, {
          Location: `${this.cdn}/repos/${id}/${model.commit}/${encodeURIComponent(path)}?X-Amz-Signature=abc`,
          'X-Linked-Size': file.bytes.length,
          'X-Linked-ETag': `"${hex('sha256', file.bytes)}"`,
          'X-Repo-Commit': model.commit,
        })
        .end();
    else
      res
        .writeHead(307, {
          Location: `/api/resolve-cache/models/${id}/${model.commit}/${encodeURIComponent(path)}`,
        })
        .end();
  }

  async #content(
    req: IncomingMessage,
    res: ServerResponse,
    id: string,
    commit: string,
    path: string,
  ): Promise<void> {
    const file = this.models.find((m) => m.id === id && m.commit === commit)!.files[path];
    if (file.lfs && req.headers.authorization) {
      res.writeHead(400).end('Only one auth mechanism allowed'); // as signed addresses answer
      return;
    }
    const fault = this.#fault(res, path);
    if (fault === 'answered') return;
    const asked = /^bytes=(\d+)-$/.exec(req.headers.range ?? '');
    const from = asked && fault?.kind !== 'no-range' ? Number(asked[1]) : 0;
    let bytes = file.bytes.subarray(from);
    if (fault?.kind === 'wrong-byte') {
      bytes = bytes.slice();
      bytes[bytes.length - 1] ^= 1;
    }
    const served = { path, from, sent: 0 };
    this.served.push(served);
    const range = {
      'Content-Range': `bytes ${from}-${file.bytes.length - 1}/${file.bytes.length}`,
    };
    res.writeHead(from > 0 ? 206 : 200, {
      'Content-Length': bytes.length,
      'Accept-Ranges': 'bytes',
      ...(from > 0 && range),
    });
    const end = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.after : bytes.length;
    const piece = fault?.kind === 'slow' ? fault.piece : end;
    for (let at = 0; at < end && !res.destroyed; at += piece) {
      if (at > 0 && fault?.kind === 'slow') await pause(fault.ms);
      const part = bytes.subarray(at, Math.min(end, at + piece));
      await new Promise<void>((resolve) => res.write(part, () => resolve()));
      served.sent += part.length;
    }
    if (fault?.kind === 'cut') {
      await pause(30);
      res.destroy();
    } else if (fault?.kind !== 'stall') res.end();
  }
}
