import { readInvite as row } from '../../api/operations/invite.ts';
import type { Call } from '../../api/server-deps.ts';
import { isCoded } from '../../base/errors.ts';
import type { SecondFactor } from '../../domain/cluster.ts';
import type { DecidingTime } from '../../domain/deciding-time.ts';
import {
  invalidLink,
  invite,
  type InviteSets,
  type PendingInvite,
  usableInvite,
} from '../../domain/invite.ts';
import { inviteStream } from '../../domain/streams.ts';
import { otpSeedSecret } from '../../domain/user-fact.ts';
import type { Position, Recorded } from '../../log/event.ts';
import { step, transact } from '../../log/execute.ts';
import { newOtpSecret } from '../../pki/otp.ts';
import { tokenHash } from '../../pki/token.ts';
import { findInvite, type InviteEntry } from '../../views/invites.ts';
import { timeForInvite } from '../deciding-time-of.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { urlOfSeed } from './new-invite.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import type { Comer } from '../user/login-gate.ts';
import { clusterOf, secondFactorOf } from '../lookups.ts';

/**
 * Opens a link and returns what its page shows. Each opening makes a new seed, and only the last one is
 * valid: whoever saw an earlier one does not keep the second factor. The opening is on the log before
 * anything is shown.
 * @throws CodedError `access_denied`, the same for a link that is unknown, used, replaced or expired;
 *   `limit_exceeded`.
 */
export const readInvite = implementing(row, (deps, call, { token, clientAddress }) => {
  const address = clientAddress ?? call.caller.address;
  return deps.gate.admit(linkComer(deps, call, { token, address }), async () => {
    const open = await openInvite(deps, { token, address });
    const { pending, secondFactor } = open;
    // A proxy of the previous release opens the link again when the form is sent: it gets the same page
    // again.
    const seed =
      clientAddress === undefined ? () => open.seed() : await showNewSeed(deps, call, { open, address });
    const { username, purpose, expiresAt } = pending;
    const { clusterName } = clusterOf(deps.views);
    const url = secondFactor === 'otp' ? urlOfSeed(username, clusterName, await seed()) : '';
    return { username, purpose, secondFactor, otpUrl: url, expiresAt };
  });
});

/**
 * Somebody with only a link passes the same gate as somebody with a password. A holder of a valid link is
 * counted separately from guessers, because behind a balancer they may have the same address.
 */
export function linkComer(
  deps: AuthDeps,
  { deadline }: Call,
  { token, address }: { readonly token: string; readonly address: string },
): Comer {
  const hash = tokenHash(token);
  const isThere = findInvite(deps.views.invites.state(), hash) !== undefined;
  return { address, wants: 'link', claims: isThere ? hash : undefined, known: false, deadline };
}

async function showNewSeed(
  deps: AuthDeps,
  call: Call,
  { open, address }: { readonly open: OpenInvite; readonly address: string },
): Promise<() => Promise<Uint8Array>> {
  const otpSeed = open.secondFactor === 'otp' ? newOtpSecret((n) => deps.world.randomBytes(n)) : undefined;
  const { position } = await transact(
    deps.log.state,
    [
      step(invite, inviteStream(open.hash), {
        type: 'open-invite',
        ...open.time,
        openingId: deps.world.uuid(),
        otpSeed,
        addresses: { remote: address, local: call.caller.address },
      }),
    ],
    causeOf(deps, call),
    termsOf(call, open.asOf),
  );
  if (position === undefined) throw new Error('bug: an opened invite made no fact');
  await deps.views.reached(position);
  if (otpSeed === undefined) return () => open.seed();
  deps.afterwards.add(destroySecrets(deps, [open.seedIn]));
  return () => Promise.resolve(otpSeed);
}

export interface OpenInvite {
  readonly hash: string;
  readonly pending: PendingInvite;
  /** The time by which it was decided that it can be used. */
  readonly time: DecidingTime;
  /** The event that holds the one-time seed. */
  readonly seedIn: Recorded;
  /** @throws CodedError `access_denied` when somebody has just used the link, and the seed went with it. */
  readonly seed: () => Promise<Uint8Array>;
  /** The log's head when this was looked up. */
  readonly asOf: Position;
  /** What the cluster demands now: the person sets up what the next login will ask for. */
  readonly secondFactor: SecondFactor;
}

/**
 * Looks a link up. For a link that is known here, the store is asked; for the unknown ones, one read serves
 * all guesses in the meantime.
 * @throws CodedError `access_denied`, the same for a link that is unknown, used, replaced or expired: then it
 *   is counted.
 */
export async function openInvite(
  deps: AuthDeps,
  { token, address, sets }: { readonly token: string; readonly address: string; readonly sets?: InviteSets },
): Promise<OpenInvite> {
  try {
    return await lookUp(deps, tokenHash(token), sets);
  } catch (e) {
    if (isCoded(e, 'access_denied')) deps.badLinks.count(address);
    throw e;
  }
}

async function lookUp(deps: AuthDeps, hash: string, sets: InviteSets | undefined): Promise<OpenInvite> {
  const found = (): InviteEntry | undefined => findInvite(deps.views.invites.state(), hash);
  if (found() === undefined) {
    await deps.lookForLinks();
    if (found() === undefined) throw invalidLink();
  }
  // Started while the store is read for news: a link that is known already has its seed.
  const [asOf, early] = await Promise.all([deps.views.fresh(), seedAhead(deps, found()?.seedIn)]);
  const entry = found();
  const state = entry?.state ?? invite.initial;
  const time = timeForInvite(deps, hash, state);
  const pending = usableInvite(state, time, sets);
  if (!entry) throw new Error('bug: an unknown invite is usable');
  const { seedIn } = entry;
  return {
    hash,
    pending,
    time,
    seedIn,
    // Another page may have been shown between the two.
    seed: async () => (early?.event.id === seedIn.id ? early.seed : await seedOf(deps, seedIn)),
    asOf,
    secondFactor: secondFactorOf(deps.views),
  };
}

interface EarlySeed {
  readonly event: Recorded;
  readonly seed: Uint8Array;
}

/** Undefined when it cannot be read now: the caller that needs it reads again, and gets the reason. */
async function seedAhead(deps: AuthDeps, seedIn: Recorded | undefined): Promise<EarlySeed | undefined> {
  if (!seedIn || secondFactorOf(deps.views) === 'off') return undefined;
  try {
    return { event: seedIn, seed: await deps.log.state.unseal(seedIn, otpSeedSecret) };
  } catch (e) {
    if (isCoded(e)) return undefined;
    throw e;
  }
}

async function seedOf(deps: AuthDeps, seedIn: Recorded): Promise<Uint8Array> {
  try {
    return await deps.log.state.unseal(seedIn, otpSeedSecret);
  } catch (e) {
    if (isCoded(e, 'not_found')) throw invalidLink();
    throw e;
  }
}
