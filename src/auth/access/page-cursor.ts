import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { HostInfo } from '../../domain/host-info.ts';

/** Where a page of people and nodes ended: behind a user, or behind a node of one. */
const cursor = z.union([z.tuple([z.string()]), z.tuple([z.string(), z.string(), z.string()])]);
export type Cursor = z.infer<typeof cursor>;

export const cursorText = (at: Cursor): string => JSON.stringify(at);

/** @throws CodedError `bad_request` */
export function readCursor(text: string): Cursor {
  try {
    return cursor.parse(JSON.parse(text));
  } catch (e) {
    throw new CodedError('bad_request', 'after: not the end of a page, as its "next" has it', { cause: e });
  }
}

/** Whether all of a user was on pages before: one that ended behind a node left the rest of that user. */
export function isBehind(username: string, after: Cursor | undefined): boolean {
  if (after === undefined) return false;
  return username < after[0] || (username === after[0] && after.length === 1);
}

/** Of nodes by name, then id, those that were not on pages before. */
export function nodesBehind<N extends Pick<HostInfo, 'nodename' | 'hostId'>>(
  nodes: readonly N[],
  username: string,
  after: Cursor | undefined,
): readonly N[] {
  if (after?.length !== 3 || after[0] !== username) return nodes;
  const [, nodename, hostId] = after;
  const from = nodes.findIndex(
    (node) => node.nodename > nodename || (node.nodename === nodename && node.hostId > hostId),
  );
  return from < 0 ? [] : nodes.slice(from);
}
