import type { Duplex } from 'node:stream';
import { pause } from '../../base/backoff.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { LeafRequest } from '../../tunnel/link-wish.ts';
import type { LeafStanding } from '../../views/live-proxies.ts';
import { comesWithinMs, dialPatiently } from './dial-patiently.ts';
import { isAnswerOfLeaf, type LeafLinks } from './leaf-links.ts';
import type { Peers } from './peers.ts';

/**
 * Opens a stream into a cluster that trusts this one.
 * @throws CodedError as the leaf answers; `unavailable` when it is not reached, for the person who asked:
 *   it names no address.
 */
export type DialLeaf = (clusterName: string, request: LeafRequest, signal: AbortSignal) => Promise<Duplex>;

/** By a link of the leaf to this proxy, else by way of another proxy. */
export const leafDialler =
  (
    leaves: Pick<LeafLinks, 'waysTo'>,
    peers: Pick<Peers, 'waysTo' | 'unreachable'>,
    standing: (clusterName: string) => LeafStanding,
    { monotonic, withinMs = comesWithinMs }: { readonly monotonic: () => number; readonly withinMs?: number },
  ): DialLeaf =>
  async (clusterName, request, signal) => {
    try {
      return await dialPatiently(
        {
          ways: () => [
            ...leaves.waysTo(clusterName, request),
            ...peers.waysTo(
              { to: 'leaf', clusterName, ...request },
              standing(clusterName).at,
              isAnswerOfLeaf,
            ),
          ],
          mayCome: () => standing(clusterName).status === 'online',
          next: (waitMs) => pause(waitMs, signal),
          ...{ monotonic, withinMs },
        },
        signal,
      );
    } catch (e) {
      if (!isCoded(e)) throw e;
      // The leaf speaks of its nodes, in words for its own people.
      if (e instanceof FinalRefusal)
        throw new CodedError(e.code, `${e.message} (cluster ${clusterName})`, { cause: e });
      const why = standing(clusterName).status === 'online' ? e.message : 'it is offline';
      throw new CodedError('unavailable', `cluster ${JSON.stringify(clusterName)} is not reached: ${why}`, {
        cause: e,
      });
    }
  };
