import { type Instant, plusMs } from '../../base/time.ts';
import {
  checkInviteTtl,
  type CreateInvite,
  type InvitePurpose,
  type InviteSets,
} from '../../domain/invite.ts';
import { newOtpSecret, otpUrl } from '../../pki/otp.ts';
import { newToken, tokenHash } from '../../pki/token.ts';
import type { AuthDeps } from '../deps.ts';

/** A link by which a person sets a password. The token exists only in the response; the log has its hash. */
export function newInvite(
  deps: Pick<AuthDeps, 'world'>,
  {
    username,
    purpose,
    ttlMs,
    sets,
  }: {
    readonly username: string;
    readonly purpose: InvitePurpose;
    readonly ttlMs: number;
    readonly sets?: InviteSets;
  },
): {
  readonly token: string;
  readonly hash: string;
  readonly expiresAt: Instant;
  readonly command: CreateInvite;
} {
  checkInviteTtl(purpose, ttlMs);
  const { world } = deps;
  const token = newToken((n) => world.randomBytes(n));
  const now = world.now();
  const otpSeed = newOtpSecret((n) => world.randomBytes(n));
  return {
    token,
    hash: tokenHash(token),
    expiresAt: plusMs(now, ttlMs),
    command: {
      ...{ type: 'create-invite', now, username, purpose, ttlMs, otpSeed },
      ...(sets !== undefined && { sets }),
    },
  };
}

/** What a person scans, as authenticators show it: the user and the cluster. */
export const urlOfSeed = (username: string, clusterName: string, secret: Uint8Array): string =>
  otpUrl({ issuer: 'Teleport', account: `${username}@${clusterName}`, secret });
