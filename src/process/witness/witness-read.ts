import { storeNotice, type StoreNotice } from '../../log/signed-head-witness.ts';
import { signedHead } from '../../log/signed-head.ts';
import type { WitnessedHead } from '../../log/verify-heads.ts';
import { witnessTarget } from './witness-target.ts';

export interface Witnessed {
  /** The address, without a password. */
  readonly place: string;
  readonly heads: readonly WitnessedHead[];
  /** Lines in which auth servers reported that the store went back. */
  readonly notices: readonly StoreNotice[];
  /** Lines that contain no signed head; a crash may leave one half written. */
  readonly unreadable: readonly number[];
}

/**
 * The signed heads that a witness has kept: a path, a `file:///path` or an address that returns what was
 * posted to it, either one JSON text per line or one list.
 * @throws CodedError `not_found`, `unavailable`, `misconfigured`.
 */
export async function readWitness(given: string): Promise<Witnessed> {
  const target = witnessTarget(given.startsWith('/') ? new URL(`file://${encodeURI(given)}`).href : given);
  return parseWitness(await target.read(), given.startsWith('/') ? given : target.place);
}

/** Repeated heads count once. */
export function parseWitness(text: string, place: string): Witnessed {
  const heads = new Map<string, WitnessedHead>();
  const notices: StoreNotice[] = [];
  const unreadable: number[] = [];
  for (const [i, value] of valuesOf(text)) {
    const parsed = signedHead.safeParse(value);
    if (!parsed.success) {
      const notice = storeNotice.safeParse(value);
      if (notice.success) notices.push(notice.data);
      else unreadable.push(i + 1);
    } else {
      const key = JSON.stringify(parsed.data);
      if (!heads.has(key)) heads.set(key, { head: parsed.data, source: `${place}, line ${i + 1}` });
    }
  }
  return { place, heads: [...heads.values()], notices, unreadable };
}

function valuesOf(text: string): [number, unknown][] {
  const whole = text.trimStart().startsWith('[') ? jsonOf(text) : undefined;
  if (Array.isArray(whole)) return [...whole.entries()];
  return text
    .split('\n')
    .map((line, i): [number, unknown] => [i, line.trim() === '' ? undefined : (jsonOf(line) ?? null)])
    .filter(([, value]) => value !== undefined);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
