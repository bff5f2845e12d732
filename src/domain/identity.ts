import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { writerReads } from './writer-reads.ts';

/** Whom an identity speaks for. */
export const identityHolder = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('user'),
    username: z.string(),
    /** Which of several users that have had this name. */
    lifeId: z.string(),
    roles: z.array(z.string()),
    logins: z.array(z.string()),
    /** Whether it may call operations that administer the cluster, while its user has the built-in role. */
    administers: z.boolean(),
  }),
  /** A machine that is not part of the cluster, such as one with OpenSSH's sshd, by these names. */
  z.object({ kind: z.literal('host'), names: z.array(z.string()) }),
]);
export type IdentityHolder = z.infer<typeof identityHolder>;

const signed = z.object({
  /** Decimal; shared by all its certificates. */
  serial: z.string(),
  holder: identityHolder,
  /** Fingerprint of its key. */
  key: z.string(),
  /** Which format was written: `file`, `openssh`, `tls`, or one of a newer release. */
  format: z.string(),
  expiresAt: instant,
  /**
   * It is valid for longer than the roles, or the setting for hosts, allow: whoever signed it forced that.
   */
  forced: z.boolean(),
});
export type SignedIdentity = z.infer<typeof signed>;

export const identityFact = z.discriminatedUnion('type', [
  z.object({ type: z.literal('identity.signed'), data: signed }),
]);
export type IdentityFact = z.infer<typeof identityFact>;

export interface SignIdentity {
  readonly type: 'sign-identity';
  readonly identity: SignedIdentity;
}

export type IdentityState =
  { readonly status: 'absent' } | { readonly status: 'signed'; readonly identity: SignedIdentity };

/** Certificates that an operator had signed, without a login or a join: one stream for each serial. */
export const identity: Decider<IdentityState, SignIdentity, IdentityFact> = {
  fact: writerReads(identityFact),
  initial: { status: 'absent' },
  decide(state, command) {
    if (state.status !== 'absent')
      throw new CodedError('already_exists', `an identity has the serial ${command.identity.serial} already`);
    return [{ type: 'identity.signed', data: command.identity }];
  },
  evolve: (_state, { data }) => ({ status: 'signed', identity: data }),
};
