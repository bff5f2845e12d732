import { printableLine } from '../base/printable.ts';
import type { Recorded } from './event.ts';

/**
 * One event as a line for people: `2026-01-01T00:00:00.000Z 12 user-alice@3 user.created by admin (request)
 * {"roles":["admin"]} sealed: password`. Secrets are shown by name only. Whatever an event contains, it stays
 * one line and cannot control a terminal.
 */
export function tailTextLine(event: Recorded): string {
  const { cause, position, stream, revision, fact } = event;
  const names = Object.keys(event.sealed ?? {});
  return [
    cause.at,
    String(position),
    `${stream}@${revision}`,
    fact.type,
    `by ${cause.actor} (${cause.requestId})`,
    JSON.stringify(fact.data),
    ...(names.length > 0 ? [`sealed: ${names.join(', ')}`] : []),
  ]
    .map(printableLine)
    .join('  ');
}

/** One event as a line of JSON; `sealed` lists the names of its secrets. */
export function tailJsonLine(event: Recorded): string {
  const { id, stream, revision, position, cause, fact } = event;
  const sealed = event.sealed && { sealed: Object.keys(event.sealed) };
  return printableLine(
    JSON.stringify({
      id,
      stream,
      revision,
      position,
      type: fact.type,
      ...cause,
      data: fact.data,
      ...sealed,
    }),
  );
}
