import { listAuthorityKeys as row } from '../../api/operations/authority-keys.ts';
import type { AuthorityType } from '../../domain/authority-facts.ts';
import { keyThatLasts } from '../../domain/authority-state.ts';
import { expectedEnd } from '../../domain/rotation.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { readCertificate } from '../../pki/x509.ts';
import { type AuthoritiesState, signerOf, trustedOf } from '../../views/authorities.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';

export const listAuthorityKeys = implementing(row, async ({ views }) => {
  await views.fresh();
  const state = views.authorities.state();
  return {
    clusterName: clusterOf(views).clusterName,
    keys: (['user', 'host'] as const).flatMap((type) => keysOf(state, type)),
  };
});

function keysOf(state: AuthoritiesState, authority: AuthorityType) {
  const signing = signerOf(state, authority).key.keyId;
  return trustedOf(state, authority).map(({ keyId, sshPublicKey, tlsCertificatePem, activeFrom }) => ({
    authority,
    keyId,
    fingerprint: fingerprint(fromAuthorizedKeyLine(sshPublicKey)),
    pin: caPinOf(tlsCertificatePem),
    since: activeFrom,
    status: keyId === signing ? ('signs' as const) : ('trusted' as const),
    until: readCertificate(tlsCertificatePem).validToDate.toISOString(),
    ...leavingOf(state, authority, keyId),
  }));
}

/** The key that is not trusted after the rotation: the old one, or after a rollback the new one. */
function leavingOf(states: AuthoritiesState, authority: AuthorityType, keyId: string) {
  const { state } = states[authority];
  if (state.status !== 'created' || state.rotation.phase === 'standby') return {};
  if (keyThatLasts(state)?.keyId === keyId) return {};
  return { leaving: { expectedAt: expectedEnd(state.rotation), phase: state.rotation.phase } };
}
