import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { AuthorityType } from '../domain/authority-facts.ts';
import type { RetiredKey } from '../domain/authority-state.ts';
import { caPinOf } from '../pki/ca-pin.ts';
import type { AuthoritiesState } from '../views/authorities.ts';

/** An X.509 authority that was trusted before. */
export interface WithdrawnAuthority {
  readonly type: AuthorityType;
  readonly certificatePem: string;
  readonly at: Instant;
  readonly by: string;
  readonly why: RetiredKey['why'];
}

/** The newest first. */
export const withdrawnIn = (state: AuthoritiesState): readonly WithdrawnAuthority[] =>
  (['host', 'user'] as const).flatMap((type) => {
    const authority = state[type].state;
    const retired = authority.status === 'created' ? authority.retired : [];
    return retired
      .map(({ key, at, by, why }) => ({ type, certificatePem: key.tlsCertificatePem, at, by, why }))
      .reverse();
  });

const happened: Readonly<Record<RetiredKey['why'], string>> = {
  rotated: 'was rotated',
  rolled_back: 'was withdrawn when its rotation was rolled back',
  replaced: 'was replaced without a grace period',
};
const remedy: Readonly<Record<AuthorityType, string>> = {
  host: 'this machine joins again with a token (auth_token, ca_pin)',
  user: 'log in again',
};

/**
 * Refuses a certificate of such an authority. Its holder got it from this cluster, and learns what became of
 * the key and what to do.
 */
export const refusedAsWithdrawn = ({ type, certificatePem, at, by, why }: WithdrawnAuthority): CodedError =>
  new CodedError(
    'access_denied',
    `access denied: the certificate is of a key of the ${type} authority (${caPinOf(certificatePem)}) that ` +
      `${happened[why]} at ${at} by ${by}: ${remedy[type]}`,
  );
