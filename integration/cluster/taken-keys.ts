import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { connectAuth } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { tryIdentity } from '../../src/api/join-client.ts';
import { exportAuthorityKeys, exportPhrase } from '../../src/api/operations/authority-keys.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { messageOf } from '../../src/base/errors.ts';
import type { HostPort } from '../../src/base/service.ts';
import type { Instant } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import { issueHostSshCertificate } from '../../src/pki/host-certificate.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { generateEd25519, privateKeyPem } from '../../src/pki/key-pair.ts';
import { decodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate, issueUserTlsCertificate } from '../../src/pki/tls-identity.ts';
import { issueUserSshCertificate } from '../../src/pki/user-certificate.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { connectSsh, keyIdentity } from '../../src/ssh/cert-client.ts';
import { login, type RotatingCluster } from './rotating-cluster.ts';

/** Both private halves of a key of an authority, in the hands of whoever took them. */
export interface TakenKey {
  readonly ssh: KeyObject;
  readonly tls: KeyObject;
  readonly tlsCertificatePem: string;
}

/** What signs, and what is only trusted, of both authorities. */
export interface TakenKeys {
  readonly user: readonly TakenKey[];
  readonly host: readonly TakenKey[];
}

/** Exports every key that is trusted now, as an administrator can. */
export async function takeKeys({
  auths,
  servers,
  clusterName = 'example',
}: {
  readonly auths: readonly Pick<RotatingCluster['auths'][number], 'dataDir'>[];
  readonly servers: RotatingCluster['servers'];
  readonly clusterName?: string;
}): Promise<TakenKeys> {
  const identity = loadIdentity(auths[0]?.dataDir ?? '', 'Admin');
  if (identity === undefined) throw new Error('no admin identity');
  const auth = connectAuth({ servers, identity, world: realWorld, sink: silentLog });
  try {
    const of = (type: 'user' | 'host'): Promise<readonly TakenKey[]> => takeKeysOf(auth, type, clusterName);
    return { user: await of('user'), host: await of('host') };
  } finally {
    auth.close();
  }
}

async function takeKeysOf(
  auth: AuthClient,
  type: 'user' | 'host',
  clusterName: string,
): Promise<readonly TakenKey[]> {
  const { keys } = await auth.call(exportAuthorityKeys, { type, confirmation: exportPhrase(clusterName) });
  return keys.map(({ sshPrivateKeyPem, tlsPrivateKeyPem, tlsCertificatePem }) => ({
    ssh: decodeOpensshPrivateKey(sshPrivateKeyPem),
    tls: createPrivateKey(tlsPrivateKeyPem),
    tlsCertificatePem,
  }));
}

const authorityLineOf = ({ ssh }: TakenKey): string => toAuthorizedKeyLine(publicKeyOf(ssh).blob);

export interface ForgedHostWish {
  readonly role: 'Proxy' | 'Node';
  /** Default: one that nobody has. */
  readonly hostId?: string;
  readonly names?: readonly string[];
  /** Default: now, for an hour. */
  readonly since?: Instant;
  /** What it believes when it calls. */
  readonly trusts: readonly TakenKey[];
}

/** A machine of the cluster, by a key of its host authority. */
export function forgedHost(key: TakenKey, wish: ForgedHostWish): HostIdentity {
  const { role, hostId = randomUUID(), names = [], since = realWorld.now(), trusts } = wish;
  const own = generateEd25519();
  const about = { hostId, clusterName: 'example', role, now: since, ttlSeconds: 3600 };
  return {
    ...{ hostId, role, clusterName: about.clusterName, privateKeyPem: privateKeyPem(own) },
    sshCertificate: issueHostSshCertificate({
      ...{ ...about, publicKey: publicKeyOf(own), ca: key.ssh },
      ...{ nodename: 'forged', additionalPrincipals: names },
    }),
    tlsCertificatePem: issueHostTlsCertificate({
      ...{ ...about, publicKey: createPublicKey(own), additionalPrincipals: names },
      ...{ caPem: key.tlsCertificatePem, caKey: key.tls },
    }),
    ...believing(trusts),
  };
}

const believing = (trusts: readonly TakenKey[]): Pick<HostIdentity, 'tlsCasPem' | 'sshHostCas'> => ({
  tlsCasPem: trusts.map(({ tlsCertificatePem }) => tlsCertificatePem),
  sshHostCas: trusts.map(authorityLineOf),
});

/** Certificates of joe with the role admin, by a key of the user authority. */
export interface ForgedUser {
  readonly key: KeyObject;
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
}

export function forgedUser(by: TakenKey): ForgedUser {
  const key = generateEd25519();
  const about = { now: realWorld.now(), ttlSeconds: 3600 };
  const traits = { logins: [login] };
  const identity = { username: 'joe', groups: ['admin'], principals: [login], routeToCluster: '', traits };
  return {
    key,
    sshCertificate: issueUserSshCertificate({
      ...{ ...about, publicKey: publicKeyOf(key), ca: by.ssh, username: 'joe', principals: [login] },
      ...{ roles: ['admin'], traits, format: 'standard', routeToCluster: '' },
      permit: { pty: true, portForwarding: true, agentForwarding: false },
    }),
    tlsCertificatePem: issueUserTlsCertificate({
      ...{ ...about, publicKey: createPublicKey(key), identity },
      ...{ caPem: by.tlsCertificatePem, caKey: by.tls },
    }),
  };
}

/** `admitted`, or why an auth server refuses the certificate over TLS. */
export async function verdictOfAuth(server: HostPort, identity: HostIdentity): Promise<string> {
  const verdict = await tryIdentity(server, identity, realWorld);
  return verdict.status === 'admitted' ? 'admitted' : verdict.reason;
}

/** Of a person's certificate, who calls as tsh does; `trusts` are keys of the host authority. */
export const verdictOnUser = (
  server: HostPort,
  { key, sshCertificate, tlsCertificatePem }: ForgedUser,
  trusts: readonly TakenKey[],
): Promise<string> =>
  verdictOfAuth(server, {
    ...{ hostId: randomUUID(), role: 'Node', clusterName: 'example', sshCertificate, tlsCertificatePem },
    privateKeyPem: privateKeyPem(key),
    ...believing(trusts),
  });

/** `admitted`, or why a login with SSH failed: one of the two did not take the other. */
export async function verdictOfSsh(
  target: HostPort | { readonly stream: Duplex },
  name: string,
  { key, sshCertificate }: ForgedUser,
  trusts: readonly TakenKey[],
): Promise<string> {
  try {
    const client = await connectSsh({
      ...{ target, username: login, hostPrincipals: [name] },
      identities: [keyIdentity(key, fromAuthorizedKeyLine(sshCertificate))],
      hostAuthorities: () => trusts.map(({ ssh }) => publicKeyOf(ssh).blob),
      now: () => BigInt(Math.floor(Date.now() / 1000)),
    });
    client.close();
    return 'admitted';
  } catch (e) {
    return messageOf(e);
  }
}
