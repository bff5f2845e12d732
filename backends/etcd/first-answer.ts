import { pause } from '../../src/base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';
import { lacksPermission } from './answers.ts';
import { checkVersion } from './format.ts';
import type { EtcdOptions } from './options.ts';
import type { Peers } from './peers.ts';

/**
 * Tries until a peer with a quorum replies, or the time is over. Errors that only an operator can fix are not
 * retried. A silent peer does not use up the time of the others.
 * @param what `claim`: the first reading and writing; `waitsFor` hears why it is tried again.
 */
export async function firstAnswer(
  peers: Pick<Peers, 'call' | 'patienceMs' | 'opening'>,
  { dialTimeoutMs, peers: { length: count } }: Pick<EtcdOptions, 'dialTimeoutMs' | 'peers'>,
  { claim, waitsFor }: { readonly claim: () => Promise<void>; readonly waitsFor: (text: string) => void },
): Promise<void> {
  const end = performance.now() + dialTimeoutMs;
  const usual = peers.patienceMs;
  peers.patienceMs = Math.min(usual, Math.max(100, dialTimeoutMs / (2 * count)));
  for (;;) {
    try {
      await lookAtVersion(peers);
      await claim();
      peers.patienceMs = usual;
      peers.opening = false;
      return;
    } catch (e) {
      if (!isCoded(e, 'unavailable') && !isCoded(e, 'ambiguous')) throw e;
      const left = end - performance.now();
      if (left <= 0)
        throw new CodedError('unavailable', `${messageOf(e)} (tried for ${dialTimeoutMs / 1000} s)`, {
          cause: e,
        });
      waitsFor(messageOf(e));
      await pause(Math.min(250, left));
    }
  }
}

async function lookAtVersion(peers: Pick<Peers, 'call'>): Promise<void> {
  try {
    const { version } = await peers.call((client, options) => client.maintenance.status(options));
    checkVersion(version);
  } catch (e) {
    // 3.6, and 3.5 from 3.5.28 on, report their version only to root: then it is not too old.
    if (!lacksPermission(e)) throw e;
  }
}
