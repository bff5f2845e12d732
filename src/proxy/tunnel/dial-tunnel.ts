import { pause } from '../../base/backoff.ts';
import { isCoded } from '../../base/errors.ts';
import type { DialTunnel } from '../ssh/dial-node.ts';
import { comesWithinMs, dialPatiently, hangsNowhere } from './dial-patiently.ts';
import type { HeldLinks } from './held-links.ts';
import type { Peers } from './peers.ts';

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
    const waiting = {
      ways: () => {
        const own = held.usable(hostId);
        const here = own && {
          name: 'its tunnel',
          open: (by: AbortSignal) => own.link.open({ to: 'own-node' }, by),
        };
        return [...(here === undefined ? [] : [here]), ...peers.waysTo({ to: 'node', hostId }, proxies)];
      },
      mayCome: () => isAlive(hostId),
      // It hangs here, and refuses, as a node does that is starting: it is not asked without pause.
      next: (waitMs: number) =>
        held.usable(hostId) === undefined
          ? held.comes(hostId, signal, waitMs).catch(() => undefined)
          : pause(waitMs, signal),
      ...{ monotonic, withinMs },
    };
    try {
      return await dialPatiently(waiting, signal);
    } catch (e) {
      if (!isCoded(e)) throw e;
      throw hangsNowhere('it', e, peers);
    }
  };
