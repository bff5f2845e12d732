import type { z } from 'zod';
import type { readInvite as operation } from '../api/operations.ts';
import { isCoded } from '../base/errors.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { DecidingTime } from '../domain/deciding-time.ts';
import { invalidLink, invite, type PendingInvite, usableInvite } from '../domain/invite.ts';
import { otpSeedSecret } from '../domain/user-fact.ts';
import type { Position, Recorded } from '../log/event.ts';
import { otpUrl } from '../pki/otp.ts';
import { tokenHash } from '../pki/token.ts';
import { findInvite, type InviteEntry } from '../views/invites.ts';
import { timeForInvite } from './deciding-time-of.ts';
import type { AuthDeps } from './deps.ts';
import { clusterOf } from './lookups.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** What the page of the link shows; the same however often it is opened. */
export async function readInvite(deps: AuthDeps, { token }: Input): Promise<Output> {
  const { pending, secondFactor, seed } = await openInvite(deps, token);
  const { username, purpose, expiresAt } = pending;
  const { clusterName } = clusterOf(deps.views);
  const url =
    secondFactor === 'otp'
      ? otpUrl({
          issuer: 'Teleport',
          account: `${username}@${clusterName}`,
          secret: await seed(),
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
  /** @throws CodedError `access_denied` when somebody has just used the link, and the seed went with it. */
  readonly seed: () => Promise<Uint8Array>;
  /** The log's head when this was looked up. */
  readonly asOf: Position;
  /** What the cluster demands now: the person sets up what the next login will ask for. */
  readonly secondFactor: SecondFactor;
}

/** @throws CodedError `access_denied`, the same for a link that is unknown, used, replaced or expired. */
export async function openInvite(deps: AuthDeps, token: string): Promise<OpenInvite> {
  const hash = tokenHash(token);
  const found = (): InviteEntry | undefined => findInvite(deps.views.invites.state(), hash);
  // Opened while the store is asked what is new: a link that is known already has the seed that it began
  // with.
  const [asOf, early] = await Promise.all([deps.views.fresh(), seedAhead(deps, found()?.createdIn)]);
  const entry = found();
  const state = entry?.state ?? invite.initial;
  const time = timeForInvite(deps, hash, state);
  const pending = usableInvite(state, time);
  if (!entry) throw new Error('bug: an unknown invite is usable');
  const { createdIn } = entry;
  return {
    hash,
    pending,
    time,
    createdIn,
    seed: async () => early ?? seedOf(deps, createdIn),
    asOf,
    secondFactor: clusterOf(deps.views).secondFactor,
  };
}

/** Undefined when it cannot be had now: whoever needs it asks again, and learns why. */
async function seedAhead(deps: AuthDeps, createdIn: Recorded | undefined): Promise<Uint8Array | undefined> {
  if (!createdIn || clusterOf(deps.views).secondFactor === 'off') return undefined;
  try {
    return await deps.log.state.unseal(createdIn, otpSeedSecret);
  } catch (e) {
    if (isCoded(e)) return undefined;
    throw e;
  }
}

async function seedOf(deps: AuthDeps, createdIn: Recorded): Promise<Uint8Array> {
  try {
    return await deps.log.state.unseal(createdIn, otpSeedSecret);
  } catch (e) {
    if (isCoded(e, 'not_found')) throw invalidLink();
    throw e;
  }
}
