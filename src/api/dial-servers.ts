import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import type { World } from '../base/world.ts';

/** One server that can be dialled. */
export interface Dialable {
  /** As the operator knows it: `10.0.0.1:3025`. */
  readonly name: string;
  /** A connection that is ready for HTTP. Must end, by itself, soon after `signal` is aborted. */
  connect(signal: AbortSignal): Promise<Duplex>;
}

/** All servers have been tried within this time, however many they are. */
const allTriedWithinMs = 1_200;
const longestHeadStartMs = 500;
/** A server that has not finished its handshake by then does not count as there. */
const dialTimeoutMs = 5_000;

export interface Dial {
  (signal: AbortSignal): Promise<Duplex>;
  /** The server that worked last is there, but cannot serve now: others are tried before it, once. */
  passOver(): void;
}

/**
 * Answers a function that connects to one of the servers: the one that worked last, else the others. A server gets a
 * short head start before the next is tried beside it, so one that swallows packets costs half a second.
 * Its promise is rejected with `unavailable`, saying which servers were tried and why each failed.
 * @param own is asked before all others each time; for what costs nothing to ask.
 */
export function dialOneOf(
  servers: readonly Dialable[],
  world: Pick<World, 'randomBytes'>,
  own?: Dialable,
): Dial {
  if (servers.length === 0) throw new CodedError('misconfigured', 'no auth server is configured');
  let preferred = (world.randomBytes(1)[0] ?? 0) % servers.length;
  let usedOwn = false;
  let withoutOwn = false;
  const dial = async (signal: AbortSignal): Promise<Duplex> => {
    const within = withoutOwn ? undefined : await own?.connect(signal).catch(() => undefined);
    usedOwn = within !== undefined;
    withoutOwn = false;
    if (within !== undefined) return within;
    const order = [...servers.slice(preferred), ...servers.slice(0, preferred)];
    const { winner, duplex } = await race(order, signal);
    preferred = servers.indexOf(winner);
    return duplex;
  };
  const passOver = (): void => {
    if (usedOwn) withoutOwn = true;
    else preferred = (preferred + 1) % servers.length;
  };
  return Object.assign(dial, { passOver });
}

interface Won {
  readonly winner: Dialable;
  readonly duplex: Duplex;
}

function race(order: readonly Dialable[], outer: AbortSignal): Promise<Won> {
  const headStartMs = Math.min(longestHeadStartMs, allTriedWithinMs / order.length);
  const done = new AbortController();
  const signal = AbortSignal.any([outer, done.signal, AbortSignal.timeout(dialTimeoutMs)]);
  return new Promise((resolve, reject) => {
    const failures: string[] = [];
    let started = 0;
    let settled = false;
    const startNext = (): void => {
      const server = order[started];
      if (settled || !server) return;
      started++;
      const timer = setTimeout(startNext, headStartMs);
      server.connect(signal).then(
        (duplex) => {
          clearTimeout(timer);
          if (settled) {
            duplex.destroy();
            return;
          }
          settled = true;
          resolve({ winner: server, duplex });
          done.abort();
        },
        (e: unknown) => {
          clearTimeout(timer);
          if (settled) return;
          failures.push(`${server.name}: ${messageOf(e)}`);
          if (failures.length === order.length) {
            settled = true;
            reject(
              new CodedError('unavailable', `no auth server answers: ${failures.join('; ')}`, { cause: e }),
            );
          } else startNext();
        },
      );
    };
    startNext();
  });
}
