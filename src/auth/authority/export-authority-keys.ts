import { createPrivateKey, type KeyObject } from 'node:crypto';
import { exportAuthorityKeys as row, exportPhrase } from '../../api/operations/authority-keys.ts';
import { CodedError } from '../../base/errors.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import {
  type AuthorityKey,
  type AuthorityType,
  sshSecretName,
  tlsSecretName,
} from '../../domain/authority-facts.ts';
import { privateKeyPem } from '../../pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../pki/openssh-private-key.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { trustedOf } from '../../views/authorities.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';

/**
 * Exports the private keys of an authority from the cluster. The audit event is stored before they leave;
 * otherwise they do not leave.
 * @throws CodedError `bad_request` without the phrase; `unavailable` where a key is not on the log.
 */
export const exportAuthorityKeys = implementing(row, async (deps, call, { type, confirmation }) => {
  const { clusterName } = clusterOf(deps.views);
  const phrase = exportPhrase(clusterName);
  if (confirmation !== phrase)
    throw new CodedError('bad_request', `nothing was exported: the confirmation is not "${phrase}"`);
  await deps.views.fresh();
  const trusted = trustedOf(deps.views.authorities.state(), type);
  const keys = await Promise.all(trusted.map((key) => opened(deps, type, key)));
  const cause = causeOf(deps, call);
  call.deadline.begin();
  await deps.ownAudit.record(
    catalogue.authorityKeysExported({
      user: cause.actor,
      name: clusterName,
      type,
      keys: keys.map((one) => one.fingerprint),
    }),
    cause,
  );
  deps.sink.warn('the private keys of an authority were exported', { type, actor: cause.actor });
  return { keys };
});

async function opened(deps: AuthDeps, type: AuthorityType, key: AuthorityKey) {
  const sealedIn = deps.views.authorities.state()[type].sealedIn[key.keyId];
  if (sealedIn === undefined)
    throw new CodedError('unavailable', `the private key of the ${type} authority is not on the log`);
  const secret = async (name: string): Promise<KeyObject> =>
    createPrivateKey(Buffer.from(await deps.log.state.unseal(sealedIn, name)));
  const { clusterName } = clusterOf(deps.views);
  return {
    fingerprint: fingerprint(fromAuthorizedKeyLine(key.sshPublicKey)),
    sshPrivateKeyPem: encodeOpensshPrivateKey(
      await secret(sshSecretName(key.keyId)),
      `${type} authority of ${clusterName}`,
    ),
    tlsPrivateKeyPem: privateKeyPem(await secret(tlsSecretName(key.keyId))),
    tlsCertificatePem: key.tlsCertificatePem,
  };
}
