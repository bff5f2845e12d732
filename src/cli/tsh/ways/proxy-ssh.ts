import type { Duplex } from 'node:stream';
import { firstOf } from '../../../base/first-of.ts';
import { second } from '../../../base/time.ts';
import { signalAfter } from '../../../base/timers.ts';
import { openWay, outletFor, type WayMeans } from './open-way.ts';
import { inOrder, type ProxyPlaces, type WayKind, wayText } from './way.ts';

/** SSH to one proxy, by whichever way leads there. */
export interface ProxySsh {
  /**
   * A connection on which the proxy's SSH server has greeted.
   * @param until ends the search; default: after the time that a handshake of SSH may take.
   * @throws CodedError `unavailable` with each way that was tried, and why it failed.
   */
  open(until?: AbortSignal): Promise<Duplex>;
  /** The way of the last connection. */
  used(): WayKind | undefined;
}

export interface ProxySshOptions extends WayMeans {
  readonly places: ProxyPlaces;
  /** The way that led there before. */
  readonly remembered: WayKind | undefined;
  /** What the proxy says that it serves; undefined: it was not asked. */
  readonly possible?: readonly WayKind[] | undefined;
}

/** What a way that drops packets costs before the next is tried beside it. */
const headStartMs = 300;
/** The same for the way that worked the last time: several round trips of a long link. */
const rememberedHeadStartMs = 1500;
/** As long as a handshake of SSH may take. */
const openMs = 30 * second;

export function proxySsh({ places, remembered, possible, ...means }: ProxySshOptions): ProxySsh {
  let used: WayKind | undefined;
  const open = async (until?: AbortSignal): Promise<Duplex> => {
    // What is wrong with the environment is wrong with every way.
    for (const purpose of ['raw', 'https'] as const) outletFor(places.web, purpose, means.env);
    const by = new Map<Duplex, WayKind>();
    const ways = inOrder(remembered, possible).map((kind) => ({
      name: wayText(kind, places),
      ...(kind === remembered && { headStartMs: rememberedHeadStartMs }),
      open: async (signal: AbortSignal): Promise<Duplex> => {
        const stream = await openWay(kind, { places, ...means }, signal);
        by.set(stream, kind);
        return stream;
      },
    }));
    const stream = await firstOf(ways, until ?? signalAfter(openMs), headStartMs);
    used = by.get(stream);
    return stream;
  };
  return { open, used: () => used };
}
