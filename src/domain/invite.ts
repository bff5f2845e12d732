import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import { hour, instant, type Instant, minute, plusMs } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { type DecidingTime, leftMs, type Span } from './deciding-time.ts';
import type { WithSecrets } from './secrets.ts';
import { addresses, type Addresses, otpSeedSecret } from './user-fact.ts';
import { writerReads } from './writer-reads.ts';

export const invitePurpose = z.enum(['invite', 'reset']);
export type InvitePurpose = z.infer<typeof invitePurpose>;

/** How long a link may live, in milliseconds. */
export const inviteLimits = {
  invite: { defaultMs: hour, maxMs: 48 * hour },
  reset: { defaultMs: 8 * hour, maxMs: 24 * hour },
} as const satisfies Record<InvitePurpose, object>;
const minTtlMs = minute;

export const inviteFact = z.discriminatedUnion('type', [
  /** Secret `otpSeed`: valid until the link is opened. */
  z.object({
    type: z.literal('invite.created'),
    data: z.object({
      username: z.string(),
      purpose: invitePurpose,
      expiresAt: instant,
      ttlMs: z.number(),
      /** Left out: a password, and a code device where the cluster requires codes. */
      sets: z.string().optional(),
    }),
  }),
  /**
   * Somebody was shown the page. Secret `otpSeed`, where the cluster requires codes: from here on only this
   * seed is valid.
   */
  z.object({
    type: z.literal('invite.opened'),
    data: z.object({
      openingId: z.string(),
      username: z.string(),
      purpose: invitePurpose,
      addresses,
    }),
  }),
  z.object({ type: z.literal('invite.accepted'), data: z.object({}) }),
  z.object({
    type: z.literal('invite.revoked'),
    data: z.object({ reason: z.string() }),
  }),
]);
export type InviteFact = WithSecrets<z.infer<typeof inviteFact>>;

export interface CreateInvite {
  readonly type: 'create-invite';
  readonly now: Instant;
  readonly username: string;
  readonly purpose: InvitePurpose;
  readonly ttlMs: number;
  readonly otpSeed: Uint8Array;
  /** The person that it is for has proved who it is, and sets a code device by it, no password. */
  readonly sets?: InviteSets;
}
/** What an invite is good for besides setting a password and a code device. */
export type InviteSets = 'code_device';
export interface OpenInvite extends DecidingTime {
  readonly type: 'open-invite';
  /** New and unique. */
  readonly openingId: string;
  /** New as well; undefined where the cluster requires no codes. */
  readonly otpSeed: Uint8Array | undefined;
  readonly addresses: Addresses;
}
export interface AcceptInvite extends DecidingTime {
  readonly type: 'accept-invite';
  /**
   * Whose seed the code was checked against; null: the seed of an invite that nobody opened. Left out: no
   * code is required.
   */
  readonly openingId?: string | null;
  readonly sets?: InviteSets;
}
export interface RevokeInvite {
  readonly type: 'revoke-invite';
  readonly reason: 'replaced' | 'user_deleted';
}
export type InviteCommand = CreateInvite | OpenInvite | AcceptInvite | RevokeInvite;

export interface PendingInvite {
  readonly status: 'pending';
  readonly username: string;
  readonly purpose: InvitePurpose;
  /** By the clock of the server that made it. */
  readonly expiresAt: Instant;
  /**
   * Missing in a snapshot of the previous release: then `expiresAt` counts, and the longest lifetime there
   * is.
   */
  readonly ttlMs?: number;
  readonly sets?: string | undefined;
  /** The last time the page was shown, and how many times it was. Left out: never. */
  readonly opened?: { readonly id: string; readonly times: number };
}
export type InviteState =
  { readonly status: 'absent' } | PendingInvite | { readonly status: 'accepted' | 'revoked' };

/** A link by which a person sets a password and a second factor. Works once. */
export const invite: Decider<InviteState, InviteCommand, InviteFact> = {
  fact: writerReads(inviteFact),
  initial: { status: 'absent' },

  decide(state, command) {
    switch (command.type) {
      case 'create-invite': {
        if (state.status !== 'absent') throw new CodedError('already_exists', 'this invite exists');
        const { username, purpose, ttlMs, now, otpSeed, sets } = command;
        checkInviteTtl(purpose, ttlMs);
        return [
          {
            type: 'invite.created',
            data: {
              ...{ username, purpose, expiresAt: plusMs(now, ttlMs), ttlMs },
              ...(sets !== undefined && { sets }),
            },
            secrets: { [otpSeedSecret]: otpSeed },
          },
        ];
      }
      case 'open-invite':
        return open(usableInvite(state, command), command);
      case 'accept-invite':
        checkShownLast(usableInvite(state, command, command.sets), command);
        return [{ type: 'invite.accepted', data: {} }];
      case 'revoke-invite':
        return state.status === 'pending'
          ? [{ type: 'invite.revoked', data: { reason: command.reason } }]
          : [];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'invite.created': {
        return { status: 'pending', ...fact.data };
      }
      case 'invite.opened': {
        if (state.status !== 'pending') return state;
        const times = (state.opened?.times ?? 0) + 1;
        return { ...state, opened: { id: fact.data.openingId, times } };
      }
      case 'invite.accepted':
        return state.status === 'pending' ? { status: 'accepted' } : state;
      case 'invite.revoked':
        return state.status === 'pending' ? { status: 'revoked' } : state;
      default:
        return unreachable(fact);
    }
  },
};

/** Each opening is a fact: somebody with a link must not be able to make the log grow without limit. */
const mostOpenings = 50;

function open(
  { username, purpose, opened }: PendingInvite,
  { openingId, otpSeed, addresses }: OpenInvite,
): readonly InviteFact[] {
  if ((opened?.times ?? 0) >= mostOpenings)
    throw new CodedError(
      'limit_exceeded',
      `this link was opened ${mostOpenings} times already: ask an operator for a new one (tctl users reset)`,
    );
  return [
    {
      type: 'invite.opened',
      data: { openingId, username, purpose, addresses },
      ...(otpSeed && { secrets: { [otpSeedSecret]: otpSeed } }),
    },
  ];
}

/**
 * Somebody who saw the page earlier, over a shoulder or in mail that was intercepted, does not keep the
 * second factor.
 */
function checkShownLast({ opened }: PendingInvite, { openingId }: AcceptInvite): void {
  if (openingId !== undefined && openingId !== (opened?.id ?? null)) throw codeMisfit();
}

/** The one message for a code that does not match the seed that was shown last. */
export const codeMisfit = (by: 'link' | 'device' = 'link'): CodedError =>
  new CodedError(
    'access_denied',
    'the one-time code does not fit: check the digits, and the clock of your device' +
      (by === 'device'
        ? ''
        : '. If this link was opened elsewhere meanwhile, open it again and scan the new picture: only the one that was shown last counts'),
  );

/** @throws CodedError `bad_request` naming the limit. */
export function checkInviteTtl(purpose: InvitePurpose, ttlMs: number): void {
  const { maxMs } = inviteLimits[purpose];
  if (ttlMs > maxMs)
    throw new CodedError(
      'bad_request',
      `maximum token TTL is ${maxMs / hour}h0m0s, asked for ${ttlMs / 1000}s`,
    );
  if (!(ttlMs >= minTtlMs) || !Number.isInteger(ttlMs))
    throw new CodedError('bad_request', `minimum token TTL is 1m0s, asked for ${ttlMs / 1000}s`);
}

/**
 * The invite, if it can be used now, for this. Also used to show its page.
 * @throws CodedError `access_denied`, one message for unknown, used, replaced and expired: a guesser learns
 *   nothing.
 */
export function usableInvite(state: InviteState, time: DecidingTime, sets?: InviteSets): PendingInvite {
  if (state.status !== 'pending' || state.sets !== sets || isOver(state, time)) throw invalidLink();
  return state;
}

function isOver(pending: PendingInvite, time: DecidingTime): boolean {
  return (
    leftMs(inviteSpan(pending), time) <= 0 || (pending.ttlMs === undefined && time.now >= pending.expiresAt)
  );
}

export const inviteSpan = ({
  expiresAt,
  ttlMs,
  purpose,
}: Pick<PendingInvite, 'expiresAt' | 'ttlMs' | 'purpose'>): Span => ({
  until: expiresAt,
  lengthMs: ttlMs ?? inviteLimits[purpose].maxMs,
});

/** The one message for a link that does not work, whatever the reason. It begins in the words of 4.4. */
export const invalidLink = (): CodedError =>
  new CodedError('access_denied', 'bad or expired token: the link was used, replaced, or is too old');
