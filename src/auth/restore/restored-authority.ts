import { isCoded } from '../../base/errors.ts';
import type { CreateAuthority, NewAuthorityKey } from '../../domain/authority-commands.ts';
import type { Rotated } from '../../domain/authority-facts.ts';
import type { WholeAuthorityDocument } from '../../domain/resources/authority.ts';
import { privateKeyFromPem, privateKeyPem } from '../../pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from '../../pki/ssh-key.ts';
import { WireError } from '../../pki/wire.ts';
import { readCertificate } from '../../pki/x509.ts';
import type { Fault } from './restored-documents.ts';

/** The authority of a document. @throws CodedError `misconfigured` for keys that do not belong together. */
export function restoredAuthority(
  document: WholeAuthorityDocument,
  clusterName: string,
  fault: Fault,
): CreateAuthority {
  const { sub_kind: type, metadata, spec } = document;
  if (spec.type !== type) throw fault(['spec', 'type'], `sub_kind says ${type}`);
  if (spec.cluster_name !== metadata.name || metadata.name !== clusterName)
    throw fault(['spec', 'cluster_name'], `the cluster is called ${JSON.stringify(clusterName)}`);
  return {
    type: 'create-authority',
    authority: type,
    clusterName,
    key: keyOf(spec, fault),
    rotated: rotatedOf(spec),
  };
}

type Spec = WholeAuthorityDocument['spec'];

function keyOf({ key, checking_keys, signing_keys, tls_key_pairs }: Spec, fault: Fault): NewAuthorityKey {
  const line = textOf(checking_keys[0]);
  const [pair] = tls_key_pairs;
  const tlsCertificatePem = textOf(pair?.cert);
  const ssh = readable(() => privateKeyFromPem(textOf(signing_keys[0])));
  const tls = readable(() => privateKeyFromPem(textOf(pair?.key)));
  const sshBlob = readable(() => fromAuthorizedKeyLine(line));
  const certificate = readable(() => readCertificate(tlsCertificatePem));
  if (ssh?.asymmetricKeyType !== 'ed25519' || !sshBlob?.equals(publicKeyOf(ssh).blob))
    throw fault(['spec', 'signing_keys'], 'is not the Ed25519 key whose public half is in checking_keys');
  if (tls?.asymmetricKeyType !== 'ec' || !certificate?.checkPrivateKey(tls))
    throw fault(['spec', 'tls_key_pairs'], 'the key and the certificate do not belong together');
  return {
    keyId: key.id,
    sshPublicKey: line,
    tlsCertificatePem,
    activeFrom: key.since,
    sshPrivateKey: Buffer.from(privateKeyPem(ssh)),
    tlsPrivateKey: Buffer.from(privateKeyPem(tls)),
  };
}

const rotatedOf = ({ announcements = 0, announcement, rotation }: Spec): Rotated => ({
  announcements,
  ...(announcement !== undefined && { announcement }),
  lastRotatedAt: rotation.last_rotated ?? null,
  lastRotationId: rotation.last_id ?? null,
});

const textOf = (encoded: string | undefined): string => Buffer.from(encoded ?? '', 'base64').toString('utf8');

/** Undefined for what is no key and no certificate. The caller says which one it is; no message quotes it. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (e) {
    if (isCoded(e) || e instanceof WireError) return undefined;
    throw e;
  }
}
