import type { z } from 'zod';
import type { readInvite as operation } from '../api/operations.ts';
import { isCoded } from '../base/errors.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { DecidingTime } from '../domain/deciding-time.ts';
import { invalidLink, invite, type PendingInvite, usableInvite } from '../domain/invite.ts';
import { otpSeedSecret } from '../domain/user-fact.ts';
import type { Recorded } from '../log/event.ts';
import { otpUrl } from '../pki/otp.ts';
import { tokenHash } from '../pki/token.ts';
import { findInvite } from '../views/invites.ts';
import { timeForInvite } from './deciding-time-of.ts';
import type { AuthDeps } from './deps.ts';
import { clusterOf } from './lookups.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** What the page of the link shows; the same however often it is opened. */
export async function readInvite(deps: AuthDeps, { token }: Input): Promise<Output> {
  const { pending, secondFactor, createdIn } = await openInvite(deps, token);
  const { username, purpose, expiresAt } = pending;
  const { clusterName } = clusterOf(deps.views);
  const url =
    secondFactor === 'otp'
      ? otpUrl({
          issuer: 'Teleport',
          account: `${username}@${clusterName}`,
          secret: await seedOf(deps, createdIn),
        })
      : '';
  return { username, purpose, secondFactor, otpUrl: url, expiresAt };
}

export interface OpenInvite {
  readonly hash: string;
  readonly pending: PendingInvite;
  /** By which it is decided that it can be used. */
  readonly time: DecidingTime;
  /** The event that holds the one-time seed. */
  readonly createdIn: Recorded;
  /** What the cluster demands now: the person sets up what the next login will ask for. */
  readonly secondFactor: SecondFactor;
}

/** @throws CodedError `access_denied`, the same for a link that is unknown, used, replaced or expired. */
export async function openInvite(deps: AuthDeps, token: string): Promise<OpenInvite> {
  await deps.views.fresh();
  const hash = tokenHash(token);
  const entry = findInvite(deps.views.invites.state(), hash);
  const state = entry?.state ?? invite.initial;
  const time = timeForInvite(deps, hash, state);
  const pending = usableInvite(state, time);
  if (!entry) throw new Error('bug: an unknown invite is usable');
  return {
    hash,
    pending,
    time,
    createdIn: entry.createdIn,
    secondFactor: clusterOf(deps.views).secondFactor,
  };
}

/** @throws CodedError `access_denied` when somebody has just used the link, and the seed went with it. */
export async function seedOf(deps: AuthDeps, createdIn: Recorded): Promise<Uint8Array> {
  try {
    return await deps.log.state.unseal(createdIn, otpSeedSecret);
  } catch (e) {
    if (isCoded(e, 'not_found')) throw invalidLink();
    throw e;
  }
}
