// What makes two runs of a comparison the same: a hash of the settings that differ from their
// defaults, and of all else that decides a run.
import { createHash } from 'node:crypto';
import { parseRunConfig, type RunConfig } from '../../settings/run-config.ts';

type Json = Record<string, unknown>;

const isRecord = (v: unknown): v is Json =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/** The parts of `value` that are not as in `otherwise`, objects key by key. */
export function unlike(value: Json, otherwise: Json): Json {
  const out: Json = {};
  for (const key of Object.keys(value).sort()) {
    const [own, other] = [value[key], otherwise[key]];
    if (JSON.stringify(own) === JSON.stringify(other)) continue;
    out[key] = isRecord(own) && isRecord(other) ? unlike(own, other) : own;
  }
  return out;
}

/**
 * A run's settings as far as they differ from the defaults of a search: a setting that is new, and
 * off by default, leaves old runs what they were.
 */
export const settingsOf = (config: Partial<RunConfig>): Json =>
  unlike(config, parseRunConfig({ search: {} }, 'defaults') as unknown as Json);

/** The first 16 hexadecimal digits of the SHA-256 of a value's JSON. */
export const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
