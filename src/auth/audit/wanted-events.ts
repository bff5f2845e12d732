import type { z } from 'zod';
import type { searchAudit } from '../../api/operations/audit.ts';
import { hour, type Instant, msBetween, plusMs } from '../../base/time.ts';
import type { WantedTerms } from '../../log/terms.ts';

/** What a search asks for, apart from how much. */
export type Wish = Pick<z.output<typeof searchAudit.input>, 'from' | 'to' | 'types' | 'user' | 'node'>;

/** The fields by which an event is chosen, before it is known to be one. */
export interface Judged {
  readonly time?: unknown;
  readonly event?: unknown;
  readonly user?: unknown;
  readonly name?: unknown;
  readonly server_id?: unknown;
  readonly server_hostname?: unknown;
}
export type Wanted = (event: Judged) => boolean;

/** @param now where everything until now is wanted, also what is stamped later. */
export function wantedBy({ from, to, types, user, node = '' }: Wish, now: Instant | undefined): Wanted {
  const oneOf = new Set<unknown>(types);
  const isThen = (time: unknown): boolean =>
    typeof time === 'string' && time >= from && (time < to || (now !== undefined && time >= now));
  const isOf = (wanted: string, ...given: readonly unknown[]): boolean =>
    wanted === '' || given.includes(wanted);
  return ({ time, event, user: whose, name, server_id, server_hostname }) =>
    isThen(time) &&
    (oneOf.size === 0 || oneOf.has(event)) &&
    isOf(user, whose, name) &&
    isOf(node, server_id, server_hostname);
}

/** How a time is cut down to the hour, day and month by which it is found. */
const spans = [
  { kind: 'hour', length: 13, ms: hour, most: 36 },
  { kind: 'day', length: 10, ms: 24 * hour, most: 45 },
  { kind: 'month', length: 7, ms: 28 * 24 * hour, most: 36 },
] as const;

/** By what an event is found; what `wantedBy` asks for is among them. */
export function* termsOfEvent(event: Judged): Generator<string> {
  const { time, event: type, user, name, server_id, server_hostname } = event;
  for (const [kind, value] of [
    ['type', type],
    ['user', user],
    ['user', name],
    ['node', server_id],
    ['node', server_hostname],
  ] as const)
    if (typeof value === 'string') yield `${kind} ${value}`;
  if (typeof time !== 'string') return;
  for (const { kind, length } of spans) yield `${kind} ${time.slice(0, length)}`;
}

/**
 * The terms of everything that is wanted. What is wanted until now is found by where it is on the log.
 * @param untilNow also what is stamped later is wanted.
 */
export function wantedTerms({ from, to, types, user, node = '' }: Wish, untilNow: boolean): WantedTerms {
  const lists = [
    types.map((type) => `type ${type}`),
    user === '' ? [] : [`user ${user}`],
    node === '' ? [] : [`node ${node}`],
    untilNow ? [] : timesOf(from, to),
  ];
  return lists.filter((list) => list.length > 0);
}

/** All hours, days or months in [`from`, `to`); none of a longer time. */
function timesOf(from: Instant, to: Instant): readonly string[] {
  for (const { kind, length, ms, most } of spans) {
    if (msBetween(from, to) / ms > most) continue;
    const times = new Set([from.slice(0, length), plusMs(to, -1).slice(0, length)]);
    for (let at = from; at < to; at = plusMs(at, ms)) times.add(at.slice(0, length));
    return [...times].map((time) => `${kind} ${time}`);
  }
  return [];
}
