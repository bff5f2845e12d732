import { PassThrough } from 'node:stream';
import { type Instant, plusMs } from '../../base/time.ts';
import { realWorld } from '../../base/world.ts';
import { generateEd25519, generateP256 } from '../../pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../pki/openssh-private-key.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { issueUserTlsCertificate } from '../../pki/tls-identity.ts';
import { issueUserSshCertificate } from '../../pki/user-certificate.ts';
import { createCaCertificate } from '../../pki/x509.ts';
import { type CliIo, cliIo } from '../cli-io.ts';
import type { Credentials } from './login/client-identity.ts';
import type { LoggedIn } from './login/login.ts';
import { readCredentials } from './login/client-identity.ts';

export const testNow: Instant = '2026-01-31T08:00:00.000Z';
const lifeSeconds = 12 * 3600;

/** The end of certificates made by `testLogin`. */
export const testEnd: Instant = plusMs(testNow, lifeSeconds * 1000);

const sshCa = generateEd25519();
const tlsKey = generateP256();
const tlsCaPem = createCaCertificate({ clusterName: 'example', privateKey: tlsKey, now: testNow });

/** A key with certificates of a cluster `example`, for logins root and joe. */
export function testCredentials(username = 'joe'): Credentials {
  const privateKey = generateEd25519();
  const publicKey = publicKeyOf(privateKey);
  const traits = { logins: ['root', 'joe'] };
  const common = { now: testNow, ttlSeconds: lifeSeconds };
  return {
    privateKeyPem: encodeOpensshPrivateKey(privateKey, `teleport:${username}`),
    sshCertificate: issueUserSshCertificate({
      ...common,
      publicKey,
      ca: sshCa,
      username,
      principals: ['root', 'joe'],
      roles: ['admin'],
      traits,
      format: 'standard',
      permit: { pty: true, portForwarding: true, agentForwarding: false },
      routeToCluster: '',
    }),
    tlsCertificatePem: issueUserTlsCertificate({
      ...common,
      publicKey: publicKey.key,
      caPem: tlsCaPem,
      caKey: tlsKey,
      identity: { username, groups: ['admin'], principals: ['root', 'joe'], traits, routeToCluster: '' },
    }),
    tlsCasPem: [tlsCaPem],
  };
}

/** A login of `username` at a proxy. */
export function testLogin(proxyHost = 'proxy', username = 'joe'): LoggedIn {
  const credentials = testCredentials(username);
  return {
    credentials,
    identity: readCredentials(credentials),
    authorities: [{ clusterName: 'example', checkingKeys: [toAuthorizedKeyLine(publicKeyOf(sshCa).blob)] }],
    profile: {
      proxyHost,
      web: { host: proxyHost, port: 3080 },
      ssh: { host: proxyHost, port: 3023 },
      user: username,
      cluster: 'example',
    },
  };
}

/** A process without a terminal, whose home is `directory`. */
export function testIo(
  directory: string,
  now = testNow,
): CliIo & { readonly out: () => string; readonly err: () => string } {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end();
  const text = (stream: PassThrough) => (): string => String((stream.read() as Buffer | null) ?? '');
  const world = { ...realWorld, now: () => now };
  return {
    ...cliIo({ stdout, stderr }, { stdin, env: { TSH_HOME: directory }, world }),
    out: text(stdout),
    err: text(stderr),
  };
}
