import { isIPv6 } from 'node:net';
import { clockToleranceMs } from '../../base/clock-tolerance.ts';
import { CodedError } from '../../base/errors.ts';
import { type Instant, msBetween, second } from '../../base/time.ts';
import type { PublicKey } from '../../pki/ssh-key.ts';
import type { AuthDeps } from '../deps.ts';
import { readPublicKey } from '../user/issue-certificates.ts';

/** The key to be certified. Both certificates contain it, and X.509 and SSH agree on this type. */
export function readEd25519(line: string): PublicKey {
  const key = readPublicKey(line);
  if (key.type !== 'ssh-ed25519') throw new CodedError('bad_request', 'publicKey: not an Ed25519 key');
  return key;
}

/**
 * How the clocks of a machine and of the auth server differ, in words, when certificates could not be used.
 */
export function clockFault(sentAt: Instant, now: Instant): string | undefined {
  const behindMs = msBetween(sentAt, now);
  if (Math.abs(behindMs) <= clockToleranceMs) return undefined;
  const by = `${Math.round(Math.abs(behindMs) / second)} s ${behindMs > 0 ? 'behind' : 'ahead'}`;
  return (
    `the clocks differ: its clock is ${by}, it says ${sentAt}, the auth server says ${now}; ` +
    `certificates need clocks that agree within ${clockToleranceMs / second} s`
  );
}

const wildcards = new Set(['0.0.0.0', '::', '[::]']);

/**
 * A machine that listens on all addresses is reached at the address it came from.
 * Source: behaviour of 4.4.
 */
export function withCallersAddress(name: string, peer: string): string {
  return wildcards.has(name) ? ipOf(peer) : name;
}

/** Of `ip:port`, without brackets and zone; IPv4 where it is written within IPv6. */
export function ipOf(peer: string): string {
  const bare = (/^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? peer).replace(/%.*$/, '');
  return isIPv6(bare) ? bare.replace(/^::ffff:(?=\d+\.)/i, '') : bare;
}

/** Afterwards this server knows every host that counts as alive on the log now. */
export async function seesPresence(deps: Pick<AuthDeps, 'views' | 'log'>): Promise<void> {
  await deps.views.presence.reached(await deps.log.presence.head());
}
