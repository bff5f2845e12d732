import { writeFileSync } from 'node:fs';
import { realWorld } from '../../src/base/world.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { extensionText, issueCertificate, parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueUserSshCertificate } from '../../src/pki/user-certificate.ts';
import { login } from './rotating-cluster.ts';
import { takeKeys } from './taken-keys.ts';

/** What such a certificate has that auth issues to nobody. */
export interface ForgedWish {
  readonly username: string;
  /** Default: an hour. */
  readonly ttlSeconds?: number;
  readonly criticalOptions?: Record<string, string>;
}

/** The cluster, of one auth server. */
export interface ForgedAt {
  readonly dataDir: string;
  readonly authPort: number;
  /** Default: `example`. */
  readonly clusterName?: string;
}

/**
 * Writes a key, and beside it (`-cert.pub`) a certificate for an admin by the cluster's own user authority,
 * as an operator who exports its key can make it. Returns what stock ssh has to be told to use them.
 */
export async function forgePerson(
  { dataDir, authPort, clusterName }: ForgedAt,
  file: string,
  { username, ttlSeconds = 3600, criticalOptions = {} }: ForgedWish,
): Promise<readonly string[]> {
  const servers = [{ host: '127.0.0.1', port: authPort }];
  const keys = await takeKeys({ auths: [{ dataDir }], servers, ...(clusterName && { clusterName }) });
  const ca = keys.user[0]?.ssh;
  if (ca === undefined) throw new Error('there is no user authority');
  const key = generateEd25519();
  const plain = parseCertificate(
    fromAuthorizedKeyLine(
      issueUserSshCertificate({
        ...{ now: realWorld.now(), ttlSeconds, publicKey: publicKeyOf(key), ca, username },
        ...{ principals: [login], roles: ['admin'], traits: { logins: [login] } },
        ...{ format: 'standard', routeToCluster: '' },
        permit: { pty: true, portForwarding: true, agentForwarding: false },
      }),
    ),
  );
  const certificate = issueCertificate({
    ...{ key: plain.key, ca, kind: 'user', keyId: plain.keyId, principals: [...plain.principals] },
    ...{ validAfter: plain.validAfter, validBefore: plain.validBefore, criticalOptions },
    extensions: Object.fromEntries(
      [...plain.extensions].map(([name, { length }]) => [
        name,
        length === 0 ? '' : (extensionText(plain, name) ?? ''),
      ]),
    ),
  });
  writeFileSync(file, encodeOpensshPrivateKey(key, username), { mode: 0o600 });
  writeFileSync(`${file}-cert.pub`, `${toAuthorizedKeyLine(certificate)}\n`);
  return [
    ...['-F', 'none', '-i', file, '-o', `CertificateFile=${file}-cert.pub`, '-o', 'IdentitiesOnly=yes'],
    ...['-o', 'LogLevel=ERROR', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'BatchMode=yes'],
  ];
}

/** Arguments of stock ssh to run a command by way of a proxy. @param more of the connection to the proxy. */
export const sshByWay = (
  own: readonly string[],
  proxyPort: number,
  node: { readonly name: string; readonly port: number },
  command: string,
  more: readonly string[] = [],
): string[] => {
  const jump = ['ssh', ...own, ...more, '-p', String(proxyPort), '-W', '%h:%p', `${login}@localhost`];
  const to = ['-p', String(node.port), `${login}@${node.name}`];
  return [...own, '-o', `ProxyCommand=${jump.join(' ')}`, ...to, command];
};
