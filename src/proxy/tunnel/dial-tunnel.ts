import { pause } from '../../base/backoff.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import type { DialTunnel } from '../ssh/dial-node.ts';
import { firstOf, type Way } from '../../base/first-of.ts';
import type { HeldLinks } from './held-links.ts';
import type { Peers } from './peers.ts';

/**
 * While a proxy is reloaded, or has just died, its nodes open their links again: a client that comes in
 * between waits for that, and does not fail.
 */
const comesWithinMs = 8 * second;
const againEveryMs = second / 2;
/** Who does not answer by then is not waited for: the next way is tried beside it. */
const headStartMs = second / 2;

/**
 * By the link of the node to this proxy, else by way of another proxy.
 * @param isAlive whether the node is known to be alive: for one that is not nobody waits.
 * @throws CodedError `unavailable`, for the operator.
 */
export const tunnelDialler =
  (
    held: HeldLinks,
    peers: Pick<Peers, 'waysTo' | 'unreachable'>,
    isAlive: (hostId: string) => boolean,
    { monotonic, withinMs = comesWithinMs }: { readonly monotonic: () => number; readonly withinMs?: number },
  ): DialTunnel =>
  async ({ hostId, proxies }, { signal }) => {
    const began = monotonic();
    const ways = (): readonly Way[] => {
      const own = held.usable(hostId);
      const here = own && {
        name: 'its tunnel',
        open: (by: AbortSignal) => own.link.open({ to: 'own-node' }, by),
      };
      return [...(here === undefined ? [] : [here]), ...peers.waysTo(hostId, proxies)];
    };
    for (;;) {
      try {
        return await firstOf(ways(), signal, headStartMs);
      } catch (e) {
        if (!isCoded(e)) throw e;
        const leftMs = withinMs - (monotonic() - began);
        if (signal.aborted || leftMs <= 0 || !isAlive(hostId)) throw inWords(e, peers);
        const waitMs = Math.min(leftMs, againEveryMs);
        // It hangs here, and refuses, as a node does that is starting: it is not asked without pause.
        if (held.usable(hostId) !== undefined) await pause(waitMs, signal);
        else await held.comes(hostId, signal, waitMs).catch(() => undefined);
      }
    }
  };

function inWords(e: CodedError, peers: Pick<Peers, 'unreachable'>): CodedError {
  const away = peers.unreachable().map(({ hostId, why }) => `proxy ${hostId} is not reached: ${why}`);
  return new CodedError(
    'unavailable',
    [`it hangs on no proxy that this one reaches (${e.message})`, ...away].join('; '),
    {
      cause: e,
    },
  );
}
