import type { KeyObject } from 'node:crypto';
import type { OutputOf } from '../../../api/operation.ts';
import type { renewCertificates } from '../../../api/operations/user.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import { encodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { fingerprint, publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { renewableFromOf } from '../../../pki/user-certificate.ts';
import type { CliIo } from '../../cli-io.ts';
import { renewedCertificates } from '../cluster/cluster-auth.ts';
import type { ClusterClient } from '../cluster/cluster-client.ts';
import { connectStored } from '../cluster/connect-stored.ts';
import type { Settings } from '../settings.ts';
import type { ClusterTrust } from '../trust/cluster-trust.ts';
import { openTrust } from '../trust/open-trust.ts';
import {
  type ClientIdentity,
  type Credentials,
  readCredentials,
  tlsAuthoritiesOf,
} from './client-identity.ts';
import { loadIdentity } from './key-store.ts';
import type { Profile } from './profile.ts';
import { storeLogin } from './store-login.ts';

/**
 * Renews the certificate of a login without a password: one that is near its end, if the cluster allowed that
 * at the login, and one whose key a rotation is replacing. A failure changes nothing: the certificate stays
 * valid, and standard error has the reason.
 */
export async function renewIfDue(settings: Settings, io: CliIo, profile: Profile): Promise<void> {
  const identity = loadIdentity(settings.home, profile.proxyHost, profile.user);
  if (identity === undefined) return;
  const trust = openTrust(identity, profile, settings, io);
  await trust.renew(); // it reports its own failures
  if (!isDue(identity, io.world.now()) && !isOfLeavingKey(identity, trust)) return;
  try {
    const proxy = { ...profile.ssh, port: settings.proxy?.sshPort ?? profile.ssh.port };
    const route = { identity, trust, proxy, proxyUsername: undefined, cluster: identity.clusterName };
    const cluster = await connectStored(route, profile, settings, io);
    const way = cluster.route.ways?.used();
    await renew(cluster, settings, io, { ...profile, way }).finally(() => {
      cluster.close();
    });
  } catch (e) {
    if (!isCoded(e)) throw e;
    io.stderr.write(`the certificate was not renewed: ${e.message}\n`);
  }
}

/**
 * Over an existing connection: exchanges a certificate whose key is being replaced by a rotation of the user
 * authority for one under the new key, with the same end. The command continues whether this succeeds or not.
 */
export async function exchangeIfLeaving(
  cluster: ClusterClient,
  settings: Settings,
  io: CliIo,
  profile: Profile,
): Promise<void> {
  const { identity, trust } = cluster.route;
  if (!isOfLeavingKey(identity, trust)) return;
  try {
    await renew(cluster, settings, io, profile);
  } catch (e) {
    if (!isCoded(e)) throw e;
    io.stderr.write(
      `WARNING: the key that signed your certificate is being replaced, and the certificate was not exchanged (${e.message}): ` +
        'log in again before the old key is withdrawn\n',
    );
  }
}

const isOfLeavingKey = (
  { certificate }: Pick<ClientIdentity, 'certificate'>,
  trust: Pick<ClusterTrust, 'userSigner'>,
): boolean => trust.userSigner() !== '' && trust.userSigner() !== fingerprint(certificate.ca.blob);

export function isDue({ certificate }: Pick<ClientIdentity, 'certificate'>, now: string): boolean {
  const from = renewableFromOf(certificate);
  return from !== undefined && from <= now;
}

type Certified = OutputOf<typeof renewCertificates>;

/** @param routeToCluster the cluster that stock clients are led to by it; default: the same as before. */
export async function renew(
  cluster: ClusterClient,
  settings: Settings,
  io: CliIo,
  profile: Profile,
  routeToCluster?: string,
): Promise<void> {
  // The same key, so that a program that reads its file and the certificate's in between finds a matching
  // pair.
  const { privateKey } = cluster.route.identity;
  const answer = await renewedCertificates(cluster, io, {
    publicKey: toAuthorizedKeyLine(publicKeyOf(privateKey).blob),
    ttlSeconds: settings.ttlSeconds,
    format: settings.certificateFormat,
    ...(routeToCluster !== undefined && { routeToCluster }),
  });
  await storeCertified(settings, io, profile, { privateKey, answer });
}

/** Stores certificates that the cluster made for the key of this login. @throws CodedError `access_denied` */
export async function storeCertified(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  { privateKey, answer }: { readonly privateKey: KeyObject; readonly answer: Certified },
): Promise<void> {
  const credentials: Credentials = {
    privateKeyPem: encodeOpensshPrivateKey(privateKey, `teleport:${profile.user}`),
    sshCertificate: answer.sshCertificate,
    tlsCertificatePem: answer.tlsCertificatePem,
    tlsCasPem: tlsAuthoritiesOf(answer.hostSigners),
  };
  const renewed = readCredentials(credentials);
  if (renewed.username !== profile.user)
    throw new CodedError(
      'access_denied',
      `the certificate that came is of another user, '${renewed.username}'`,
    );
  await storeLogin(settings, io, {
    profile,
    credentials,
    identity: renewed,
    authorities: answer.hostSigners,
  });
}
