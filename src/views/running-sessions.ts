import type { HostInfo } from '../domain/host-info.ts';
import type { LiveSession } from '../domain/live-sessions.ts';
import type { HostsState } from './hosts.ts';
import { presenceOf, type PresenceState, seenOf } from './presence.ts';
import { hostsInRole } from './sorted-hosts.ts';

/** A session, and the node on which it runs. */
export interface RunningSession extends LiveSession {
  readonly hostId: string;
  readonly nodename: string;
}

/** What the nodes that are alive have told of their sessions. */
export interface RunningSessions {
  /** The oldest first. */
  readonly sessions: readonly RunningSession[];
  /** Of nodes that have more than they can name. */
  readonly unnamed: readonly (Pick<HostInfo, 'hostId' | 'nodename'> & { readonly count: number })[];
}

/**
 * @param atMs by the clock of the reader of `presence`.
 * @param due called for each host: what it returns is awaited (`base/turns.ts`).
 */
export async function runningSessions(
  hosts: HostsState,
  presence: PresenceState,
  atMs: number,
  due: () => Promise<void> | undefined,
): Promise<RunningSessions> {
  const sessions: RunningSession[] = [];
  const unnamed: { hostId: string; nodename: string; count: number }[] = [];
  for (const host of hostsInRole(hosts, 'Node')) {
    const rest = due();
    if (rest !== undefined) await rest;
    const { hostId, nodename } = host;
    const told = seenOf(presence, host)?.sessions;
    if (told === undefined || presenceOf(presence, host, atMs).status !== 'alive') continue;
    for (const one of told.known) sessions.push({ ...one, hostId, nodename });
    if (told.more !== undefined) unnamed.push({ hostId, nodename, count: told.more });
  }
  return { sessions: sessions.sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1)), unnamed };
}
