import { backoffMs } from '../base/backoff.ts';
import { second } from '../base/time.ts';
import type { LinkNotice } from './link-wish.ts';

/** What an agent knows when it considers whether to open another link. */
export interface LinkState {
  /** What the proxies said last; undefined before the first link. */
  readonly notice: LinkNotice | undefined;
  /** Host ids of the proxies that it hangs on now, by links that are to stay. */
  readonly held: readonly string[];
  /** Attempts in a row that failed, and that led to a proxy that was held already. */
  readonly failed: number;
  readonly repeated: number;
  /** All attempts so far. */
  readonly attempts: number;
}

/** Where a link is dialled: at what is configured, or at one proxy's own address. */
export type LinkPlace =
  | { readonly status: 'configured' }
  | { readonly status: 'proxy'; readonly hostId: string; readonly address: string };

export type LinkPlan =
  | { readonly status: 'enough'; /** Of `held`: not needed any more. */ readonly surplus: readonly string[] }
  | { readonly status: 'dial'; readonly place: LinkPlace; readonly afterMs: number };

/** How many proxies it is to hang on: before the first has said anything, one. */
export function linksWanted(notice: LinkNotice | undefined): number {
  if (notice === undefined) return 1;
  const { links, proxies } = notice;
  const here = proxies.filter(({ away }) => away !== true).length;
  return Math.max(1, links === 'all' ? proxies.length : Math.min(links, here));
}

/**
 * What several proxies said, as one: some may not know yet what others do, so what any of them wants is done.
 * Else two that contradict each other would have links opened and dropped in turn.
 * @returns undefined where none said anything.
 */
export function allSaid(notices: readonly LinkNotice[]): LinkNotice | undefined {
  if (notices.length === 0) return undefined;
  const counts = notices.map(({ links }) => (links === 'all' ? Infinity : links));
  const links = Math.max(...counts);
  const proxies = new Map<string, LinkNotice['proxies'][number]>();
  for (const one of notices.flatMap((notice) => notice.proxies)) {
    const known = proxies.get(one.hostId);
    const away = known?.away ?? one.away;
    const address = one.address === '' ? (known?.address ?? '') : one.address;
    proxies.set(one.hostId, { hostId: one.hostId, address, ...(away === true && { away }) });
  }
  return {
    links: links === Infinity ? 'all' : links,
    proxies: [...proxies.values()],
    spreadMs: Math.max(...notices.map(({ spreadMs }) => spreadMs)),
  };
}

/** While no proxy is held somebody waits; for one more nobody does. */
const urgent = { baseMs: second / 4, maxMs: 4 * second };
const spare = { baseMs: second / 2, maxMs: 30 * second };

/**
 * What an agent does next. What is configured often is a balancer, which may lead to any proxy: to the next
 * one in turn, or always to the same. So each attempt is one connection, with no look before it that would
 * take a turn; and when it led to a proxy that is held already, or nowhere, the next goes to the own
 * address of another one.
 * @param random in [0, 1).
 */
export function planLinks({ notice, held, failed, repeated, attempts }: LinkState, random: number): LinkPlan {
  const wanted = linksWanted(notice);
  if (held.length >= wanted) return { status: 'enough', surplus: held.slice(wanted) };
  const place = placeOf(notice, held, attempts, failed + repeated);
  const jitter = 0.5 + random / 2;
  if (failed === 0 && repeated === 0) {
    // A proxy has gone, and all that hung on it come at once: who still holds another one takes its time.
    const spreadMs = (notice?.spreadMs ?? 0) / (held.length === 0 ? 2 : 1);
    return { status: 'dial', place, afterMs: spreadMs * random };
  }
  const { baseMs, maxMs } = held.length === 0 ? urgent : spare;
  return { status: 'dial', place, afterMs: backoffMs(failed + repeated, baseMs, maxMs, jitter) };
}

function placeOf(
  notice: LinkNotice | undefined,
  held: readonly string[],
  attempts: number,
  inVain: number,
): LinkPlace {
  const others = (notice?.proxies ?? []).filter(
    ({ hostId, address }) => address !== '' && !held.includes(hostId),
  );
  const configured: LinkPlace = { status: 'configured' };
  if (others.length === 0 || inVain === 0 || attempts % 2 === 0) return configured;
  const other = others[((attempts - 1) / 2) % others.length];
  return other === undefined ? configured : { status: 'proxy', ...other };
}
