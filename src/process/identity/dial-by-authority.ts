import { X509Certificate } from 'node:crypto';
import type { RedialingClient } from '../../api/auth-connection.ts';
import { backoffMs, randomFraction } from '../../base/backoff.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { minute, second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { type AuthorityState, keysInUse } from '../../domain/authority-state.ts';
import { rotationMark } from '../../domain/rotation-mark.ts';
import type { FollowedAuthority } from './renew-identity.ts';

export interface DiallingDeps {
  readonly client: Pick<RedialingClient, 'shownByServers' | 'dialAgain'>;
  readonly authority: FollowedAuthority;
  /** Over how long the machines of the cluster spread what all of them do at once. */
  readonly spreadMs: () => number;
  readonly world: Pick<World, 'monotonic' | 'randomBytes'>;
  readonly sink: Pick<LogSink, 'info'>;
  /** Resolves early when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A connection may be made at any time, to a server that is late. */
const longestLookMs = minute;
/** Between two attempts while servers do not show what they should. */
const longestRetryMs = 15 * second;

/**
 * Makes connections to auth servers again that rest on a key of the host authority which servers are not to
 * show any more: before it leaves, at a moment that each machine draws for itself, and at once when it has
 * left. No call is lost.
 */
export function dialByAuthority(deps: DiallingDeps): { close(): void } {
  const { authority, client, world, sink, pause } = deps;
  const closed = new AbortController();
  let changed = new AbortController();
  /** For which step of a rotation, from when on by the monotonic clock, and how often it was done. */
  let turn = { mark: 'none', from: -Infinity, times: 0 };
  const following = authority.subscribe(() => {
    changed.abort();
  });

  /** In how long connections are due to be made again; undefined: they are as they should be. */
  const dueInMs = (): number | undefined => {
    const state = authority.state();
    const rests = restOn(state, client.shownByServers());
    if (rests === 'as they should') return undefined;
    const mark = rotationMark(state);
    if (turn.mark !== mark) {
      const spreadMs = rests === 'on one that left' ? 0 : deps.spreadMs();
      turn = { mark, from: world.monotonic() + spreadMs * randomFraction(world), times: 0 };
    }
    return Math.max(0, turn.from - world.monotonic());
  };
  const dial = (): void => {
    if (turn.times === 0)
      sink.info('the connections to auth servers are made again: they rest on a key that leaves', {
        rotation: turn.mark,
      });
    const times = turn.times + 1;
    const retryMs = backoffMs(times, second, longestRetryMs, 0.5 + randomFraction(world) / 2);
    turn = { ...turn, times, from: world.monotonic() + retryMs };
    client.dialAgain();
  };
  const run = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      changed = new AbortController();
      const dueMs = dueInMs();
      if (dueMs === 0) dial();
      const waitMs =
        dueMs === undefined ? longestLookMs : Math.min(dueInMs() ?? longestLookMs, longestLookMs);
      await pause(waitMs, AbortSignal.any([closed.signal, changed.signal]));
    }
  };
  void run();
  return {
    close: () => {
      closed.abort();
      following.unsubscribe();
    },
  };
}

/** On which key connections rest on which servers showed this. */
function restOn(
  state: AuthorityState,
  shown: readonly X509Certificate[],
): 'as they should' | 'on one that leaves' | 'on one that left' {
  if (state.status === 'absent' || shown.length === 0) return 'as they should';
  const { servers, trusted } = keysInUse(state);
  const signers = trusted.map(({ keyId, tlsCertificatePem }) => {
    const { publicKey } = new X509Certificate(tlsCertificatePem);
    return { keyId, publicKey };
  });
  const keys = shown.map((one) => signers.find(({ publicKey }) => one.verify(publicKey))?.keyId);
  if (keys.includes(undefined)) return 'on one that left';
  return keys.every((keyId) => keyId === servers.keyId) ? 'as they should' : 'on one that leaves';
}
