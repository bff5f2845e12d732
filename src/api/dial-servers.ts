import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import { isTurnedAway } from './no-answer.ts';
import { Silence } from './silence.ts';

/** One server that can be dialled. */
export interface Dialable {
  /** As the operator knows it: `10.0.0.1:3025`. */
  readonly name: string;
  /** A connection that is ready for HTTP. It must end, by itself, soon after `signal` is aborted. */
  connect(signal: AbortSignal): Promise<Duplex>;
}

/** All servers have been tried within this time, however many they are. */
const allTriedWithinMs = 1_200;
const longestHeadStartMs = 500;
/**
 * A server that has not finished its handshake by then counts as unreachable. It may let a connection wait
 * 3 s before it begins (`base/handshake-gate.ts`): what it is about to do is not given up.
 */
const usualTimeoutMs = 8_000;

export interface Dial {
  (signal: AbortSignal): Promise<Duplex>;
  /**
   * The server at the other end of this connection is reachable, but cannot serve now: others are tried
   * before it, until one of them cannot either. However many connections report this of one server, it is
   * passed over once.
   * @param stream undefined: the server that was reached last.
   */
  passOver(stream?: Duplex): void;
  /** Names of the servers, in the order in which they would be tried now. */
  order(): readonly string[];
}

export interface DialOptions {
  /** Tried before all others each time; for a server that costs nothing to ask. */
  readonly own?: Dialable | undefined;
  /** Longest wait for one server's handshake. Default 8,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Returns a function that connects to one of the servers: the one that worked last, else the others. A server
 * gets a short head start before the next is tried beside it, so one that drops packets costs half a second.
 * Its promise is rejected with `unavailable`, with the servers that were tried and why each failed.
 */
export function dialOneOf(
  servers: readonly Dialable[],
  world: Pick<World, 'randomBytes'>,
  { own, timeoutMs = usualTimeoutMs }: DialOptions = {},
): Dial {
  if (servers.length === 0) throw new CodedError('misconfigured', 'no auth server is configured');
  const first = (world.randomBytes(1)[0] ?? 0) % servers.length;
  /** The servers in the order in which they are tried next. */
  let order = [...servers.slice(first), ...servers.slice(0, first)];
  const reachedAt = new WeakMap<Duplex, Dialable>();
  let last: Dialable | undefined;
  let withoutOwn = false;
  const reached = (server: Dialable, stream: Duplex): Duplex => {
    reachedAt.set(stream, server);
    last = server;
    return stream;
  };
  const dial = async (signal: AbortSignal): Promise<Duplex> => {
    const within = withoutOwn ? undefined : await own?.connect(signal).catch(() => undefined);
    withoutOwn = false;
    if (own !== undefined && within !== undefined) return reached(own, within);
    const asked = order;
    const { winner, duplex } = await race(asked, signal, timeoutMs);
    // Not where another was passed over in the meantime: that is newer.
    if (order === asked) order = [winner, ...order.filter((one) => one !== winner)];
    return reached(winner, duplex);
  };
  const passOver = (stream?: Duplex): void => {
    const server = stream === undefined ? last : reachedAt.get(stream);
    if (server === undefined) return;
    if (server === own) withoutOwn = true;
    else order = [...order.filter((one) => one !== server), server];
  };
  return Object.assign(dial, { passOver, order: () => order.map(({ name }) => name) });
}

interface Won {
  readonly winner: Dialable;
  readonly duplex: Duplex;
}

function race(order: readonly Dialable[], outer: AbortSignal, timeoutMs: number): Promise<Won> {
  const headStartMs = Math.min(longestHeadStartMs, allTriedWithinMs / order.length);
  const done = new AbortController();
  const silence = new Silence();
  silence.watch(timeoutMs);
  const signal = AbortSignal.any([outer, done.signal, silence.signal]);
  return new Promise((resolve, reject) => {
    const failures: string[] = [];
    let turnedAway: unknown;
    let started = 0;
    let settled = false;
    const startNext = (): void => {
      const server = order[started];
      if (settled || !server) return;
      started++;
      const timer = startTimer(startNext, headStartMs);
      server.connect(signal).then(
        (duplex) => {
          stopTimer(timer);
          if (settled) {
            duplex.destroy();
            return;
          }
          settled = true;
          silence.stop();
          resolve({ winner: server, duplex });
          done.abort();
        },
        (e: unknown) => {
          stopTimer(timer);
          if (settled) return;
          failures.push(`${server.name}: ${messageOf(e)}`);
          if (isTurnedAway(e)) turnedAway ??= e;
          if (failures.length === order.length) {
            settled = true;
            silence.stop();
            reject(
              new CodedError('unavailable', `no auth server answers: ${[...new Set(failures)].join('; ')}`, {
                cause: turnedAway ?? e,
              }),
            );
          } else startNext();
        },
      );
    };
    startNext();
  });
}
