// Requests to the Hugging Face Hub: what its refusals mean, and waiting where they pass.
import { InputError } from '../../util/error.ts';

/** How long failures that may pass are borne. */
export interface Patience {
  /** Tries in a row without a byte gained. */
  tries: number;
  /** Seconds before the second try; doubled each time. */
  pause: number;
  /** Longest wait, in seconds, that the Hub may ask for. */
  longest: number;
  /** Seconds without a byte after which a connection is given up. */
  stall: number;
}

/** The Hub as it is reached. */
export interface HubAccess {
  /** Without a slash at its end. */
  address: string;
  /** An access token of the person, for gated and private models. */
  token: string | null;
  signal?: AbortSignal;
  /** Told before every wait. */
  onWait?: (seconds: number, why: string) => void;
  patience: Patience;
}

export const HUB = 'https://huggingface.co';
export const PATIENCE: Patience = { tries: 5, pause: 1, longest: 120, stall: 30 };

/** A failure that may pass; `seconds`: how long the Hub says to wait. */
export class Passing extends Error {
  constructor(
    message: string,
    readonly seconds: number | null = null,
  ) {
    super(message);
  }
}

/**
 * Runs `work` until it succeeds or its failures no longer pass. `gained` says whether the last try
 * brought anything; it then starts counting anew.
 * @throws InputError('hub') after the last try; anything that is not Passing at once
 */
export async function patiently<T>(
  access: HubAccess,
  what: string,
  work: () => Promise<T>,
  gained = () => false,
): Promise<T> {
  const { tries, pause, longest } = access.patience;
  for (let failed = 0; ; ) {
    access.signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      access.signal?.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      failed = gained() ? 1 : failed + 1;
      const seconds = error.seconds ?? pause * 2 ** (failed - 1);
      if (seconds > longest)
        throw new InputError(
          'hub',
          `${what}: ${error.message}. Try again in ${Math.ceil(seconds)} s.`,
        );
      if (failed >= tries)
        throw new InputError('hub', `${what}: ${error.message} (${failed} tries).`);
      access.onWait?.(seconds, error.message);
      await sleep(seconds, access.signal);
    }
  }
}

/** @throws the signal's reason when it is aborted meanwhile */
function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/**
 * One request; a response is a success. The token goes to the Hub alone: browsers drop it where
 * they are sent on to another host.
 * @throws Passing for 429, 5xx and a connection that fails; InputError('hub') for a refusal
 */
export async function request(
  access: HubAccess,
  what: string,
  url: string,
  init: RequestInit,
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (access.token) headers.set('Authorization', `Bearer ${access.token}`);
  const response = await fetch(url, { ...init, headers }).catch(() => null);
  if (!response) throw new Passing('the Hub cannot be reached; is this computer online?');
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 429)
    throw new Passing('too many requests to the Hub from this computer', retryAfter(response));
  if (response.status >= 500)
    throw new Passing(`the Hub answered with status ${response.status}`, retryAfter(response));
  throw new InputError('hub', `${what}: ${refusal(response, access.token !== null)}`);
}

/** Seconds of a Retry-After header; null where there is none, or the browser may not see it. */
function retryAfter(response: Response): number | null {
  const value = response.headers.get('Retry-After');
  if (value === null) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/**
 * What a refusal means, in words. The Hub answers 401 for a model that is not there as it does for
 * a private one.
 */
function refusal({ status, headers }: Response, hasToken: boolean): string {
  const code = headers.get('X-Error-Code');
  if (code === 'GatedRepo' || status === 403)
    return `its authors require you to accept their terms. Accept them on the model's page on the Hub${hasToken ? '; the account of this access token has not done so' : ', then enter an access token of that account'}.`;
  if (status === 401 && hasToken && code !== 'RepoNotFound')
    return 'the Hub does not accept this access token.';
  if (status === 401) return 'there is no such model, or it is private and needs an access token.';
  if (code === 'RevisionNotFound') return 'the model has no such revision.';
  if (code === 'EntryNotFound') return 'the file no longer exists.';
  if (status === 404) return 'there is no such model.';
  return `the Hub refused the request (status ${status}).`;
}
