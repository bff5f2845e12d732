import { randomUUID } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectAuthOver } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import type { Operation, Who } from '../../src/api/operation.ts';
import { pingCluster, readClusterStatus } from '../../src/api/operations/cluster.ts';
import * as audit from '../../src/api/operations/audit.ts';
import * as cluster from '../../src/api/operations/cluster.ts';
import * as authorities from '../../src/api/operations/authority.ts';
import * as keys from '../../src/api/operations/authority-keys.ts';
import * as host from '../../src/api/operations/host.ts';
import * as identities from '../../src/api/operations/identity.ts';
import * as invite from '../../src/api/operations/invite.ts';
import * as lock from '../../src/api/operations/lock.ts';
import * as log from '../../src/api/operations/log.ts';
import * as token from '../../src/api/operations/token.ts';
import * as trust from '../../src/api/operations/trust.ts';
import * as user from '../../src/api/operations/user.ts';
import { listHosts } from '../../src/api/operations/host.ts';
import { acceptInvite } from '../../src/api/operations/invite.ts';
import { createUser, deleteUser, logIn as logInRow } from '../../src/api/operations/user.ts';
import { recordingSink } from '../../src/api/testing.ts';
import { type CodedError, isCoded } from '../../src/base/errors.ts';
import { realWorld } from '../../src/base/world.ts';
import { version } from '../../src/base/version.ts';
import { plusMs } from '../../src/base/time.ts';
import { generateP256 } from '../../src/pki/key-pair.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate, issueUserTlsCertificate } from '../../src/pki/tls-identity.ts';
import { createCaCertificate } from '../../src/pki/x509.ts';
import {
  type AuthBench,
  clientOf,
  identityOf,
  type Material,
  newKey,
  operatorIdentity,
  serverName,
  signersOf,
  startAuth,
} from '../harness/auth-bench.ts';

let auth: AuthBench;
const closers: (() => Promise<void> | void)[] = [];
const later = <T extends { close(): unknown }>(one: T): T => {
  closers.push(async () => {
    await one.close();
  });
  return one;
};

beforeEach(async () => {
  auth = await startAuth();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await auth.stop();
  await auth.log.close();
});

const client = (identity: Material): AuthClient => later(clientOf([auth.address()], identity));
const clientAs = async (role: 'Admin' | 'Auth' | 'Proxy' | 'Node', hostId?: string): Promise<AuthClient> =>
  client(await identityOf(auth, role, hostId));

/** Invites, accepts, logs in: a person with both certificates. */
async function person(username: string): Promise<Material> {
  const admin = await clientAs('Admin');
  const proxy = await clientAs('Proxy');
  const { inviteToken } = await admin.call(createUser, {
    username,
    roles: ['admin'],
    traits: { logins: ['root'] },
    inviteTtlSeconds: 3600,
  });
  await proxy.call(acceptInvite, {
    token: inviteToken,
    password: 'correct horse',
    otp: '',
    clientAddress: '192.0.2.1:1',
  });
  return logIn(proxy, username);
}
async function logIn(proxy: AuthClient, username: string): Promise<Material> {
  const { privateKeyPem, publicKey } = newKey();
  const answer = await proxy.call(logInRow, {
    username,
    password: 'correct horse',
    otp: '',
    publicKey: toAuthorizedKeyLine(publicKey.blob),
    ttlSeconds: 3600,
    clientAddress: '192.0.2.1:1',
  });
  return {
    privateKeyPem,
    tlsCertificatePem: answer.tlsCertificatePem,
    tlsCasPem: answer.hostSigners[0]?.tlsCertificatesPem ?? [],
  };
}

const refusal = (call: Promise<unknown>): Promise<CodedError> =>
  call.then(
    () => {
      throw new Error('was admitted');
    },
    (e: unknown) => {
      if (isCoded(e)) return e;
      throw e;
    },
  );

describe('the guard', () => {
  it('admits to every operation those it names and nobody else', async () => {
    const alice = await person('alice');
    const nobody = later(
      connectAuthOver(
        () => Promise.resolve(connectTcp(auth.address())),
        { ca: alice.tlsCasPem, serverName },
        { world: realWorld, sink: recordingSink() },
      ),
    );
    const operator = await operatorIdentity(await clientAs('Admin'), 'alice', alice.tlsCasPem);
    const callers: Record<Exclude<Who, 'foreign'>, AuthClient> = {
      anyone: nobody,
      user: client(alice),
      operator: client(operator),
      Admin: await clientAs('Admin'),
      Auth: await clientAs('Auth'),
      Proxy: await clientAs('Proxy'),
      Node: await clientAs('Node'),
    };
    const rows = [cluster, authorities, keys, identities, user, invite, token, host, audit, lock, log, trust]
      .flatMap((subject): unknown[] => Object.values(subject))
      .filter((one): one is Operation => typeof one === 'object' && one !== null && 'who' in one);
    expect(rows).toHaveLength(41);
    // What keeps people out in a hurry, and what replaces a key, is at hand from any machine.
    expect(rows.filter(({ who }) => who.includes('operator')).map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        ...['lock.create', 'lock.list', 'lock.delete', 'authority.rotate', 'authority.rotations'],
      ]),
    );
    for (const row of rows)
      for (const [who, caller] of Object.entries(callers)) {
        // An input that is wrong for all but `{}`: who is admitted is told what is wrong with it.
        const outcome = await caller.call(row, { nonsense: true }).then(
          () => 'admitted',
          (e: unknown) =>
            isCoded(e, 'access_denied') ? 'refused' : isCoded(e, 'bad_request') ? 'admitted' : String(e),
        );
        const named =
          row.who.includes('anyone') ||
          row.who.includes(who as Who) ||
          (who === 'operator' && row.who.includes('user')) ||
          // By a rule of her role, `admin`, as in 4.4.
          (who === 'user' && row.name === 'audit.search');
        expect(`${row.name} as ${who}: ${outcome}`).toBe(
          `${row.name} as ${who}: ${named ? 'admitted' : 'refused'}`,
        );
      }
  });

  it('speaks nothing but TLS', async () => {
    const text = await new Promise<string>((resolve) => {
      let got = '';
      const socket = connectTcp(auth.address());
      socket.on('data', (data) => (got += data.toString('latin1')));
      socket.on('close', () => {
        resolve(got);
      });
      socket.on('error', () => undefined);
      socket.write('GET /v3/log/state HTTP/1.1\r\n\r\n');
    });
    expect(text).not.toContain('HTTP/1.1 200');
  });
});

describe('a forged certificate', () => {
  const subject = { principals: ['root'], routeToCluster: '', traits: {} };
  const userCert = async (
    username: string,
    groups: string[],
    extra: { now?: string; ttlSeconds?: number } = {},
  ): Promise<Material> => {
    const { user, host } = await signersOf(auth.log);
    const { privateKeyPem, publicKey } = newKey();
    const tlsCertificatePem = issueUserTlsCertificate({
      publicKey: publicKey.key,
      caPem: user.tlsCertificatePem,
      caKey: user.tls,
      identity: { username, groups, ...subject },
      now: realWorld.now(),
      ttlSeconds: 3600,
      ...extra,
    });
    return { privateKeyPem, tlsCertificatePem, tlsCasPem: [host.tlsCertificatePem] };
  };
  const hostCert = async (extra: object): Promise<Material> => {
    const { host } = await signersOf(auth.log);
    const { privateKeyPem, publicKey } = newKey();
    const tlsCertificatePem = issueHostTlsCertificate({
      publicKey: publicKey.key,
      caPem: host.tlsCertificatePem,
      caKey: host.tls,
      hostId: randomUUID(),
      clusterName: 'example',
      role: 'Admin',
      additionalPrincipals: [],
      now: realWorld.now(),
      ...extra,
    });
    return { privateKeyPem, tlsCertificatePem, tlsCasPem: [host.tlsCertificatePem] };
  };
  /** Deletes the user and makes one of the same name. */
  const again = async (username: string): Promise<void> => {
    const admin = await clientAs('Admin');
    await admin.call(deleteUser, { username });
    await person(username);
  };
  const otherCa = (): object => {
    const caKey = generateP256();
    const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now: realWorld.now() });
    return { caKey, caPem };
  };

  it.each([
    ['of the user authority that claims a machine role', () => userCert('alice', ['Admin'])],
    [
      'of the user authority that claims a machine role among others',
      () => userCert('alice', ['admin', 'Node']),
    ],
    ['of the user authority that looks like a host', () => userCert(`${randomUUID()}.example`, ['Proxy'])],
    ['of a user that does not exist', () => userCert('nobody', ['admin'])],
    ['that has expired', () => userCert('alice', ['admin'], { now: plusMs(realWorld.now(), -7_200_000) })],
    [
      'made before the user was, where there was an earlier one',
      async () => {
        await again('alice');
        return userCert('alice', ['admin'], { now: plusMs(realWorld.now(), -600_000) });
      },
    ],
    [
      'of an earlier user of the name',
      async () => {
        const earlier = await person('bob');
        await again('bob');
        return earlier;
      },
    ],
    ['that is not valid yet', () => userCert('alice', ['admin'], { now: plusMs(realWorld.now(), 600_000) })],
    ['of another authority of the same name', () => hostCert(otherCa())],
    ['of a host of another cluster', () => hostCert({ clusterName: 'other' })],
    ['of a host with a role of people', () => hostCert({ role: 'admin' })],
  ])('%s is refused', async (_name, forge) => {
    await person('alice');
    const forger = client(await forge());
    expect(await refusal(forger.call(readClusterStatus, {}))).toMatchObject({
      code: 'access_denied',
    });
    expect(await refusal(forger.call(listHosts, { role: 'Node' }))).toMatchObject({
      code: 'access_denied',
    });
  });

  it('is told from the real one', async () => {
    await person('alice');
    const real = client(await userCert('alice', ['admin']));
    expect(await real.call(listHosts, { role: 'Node' })).toEqual({ hosts: [] });
    expect(await client(await hostCert({})).call(readClusterStatus, {})).toMatchObject({
      clusterName: 'example',
      serverVersion: version,
    });
  });

  it('does not let a proxy stand in for the auth server', async () => {
    const { createServer } = await import('node:tls');
    const proxy = await identityOf(auth, 'Proxy');
    const server = createServer({ key: proxy.privateKeyPem, cert: proxy.tlsCertificatePem }, (socket) =>
      socket.destroy(),
    );
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as { port: number };
    const victim = later(clientOf([{ host: '127.0.0.1', port }], await identityOf(auth, 'Node')));
    expect((await refusal(victim.call(pingCluster, {}))).message).toContain('it is not an auth server');
    await new Promise((done) => server.close(done));
  });
});

describe('a user who loses the right to act', () => {
  it('is refused on the connection it has when its certificate expires', async () => {
    const alice = client(await person('alice'));
    await alice.call(listHosts, { role: 'Node' });
    auth.advance(3_600_000);
    expect(await refusal(alice.call(listHosts, { role: 'Node' }))).toMatchObject({
      code: 'access_denied',
      message: 'the certificate of alice has expired',
    });
  });

  it('is refused on the connection it has when it is deleted', async () => {
    const alice = client(await person('alice'));
    await alice.call(listHosts, { role: 'Node' });
    const admin = await clientAs('Admin');
    await admin.call(deleteUser, { username: 'alice' });
    expect(await refusal(alice.call(listHosts, { role: 'Node' }))).toMatchObject({
      code: 'access_denied',
    });
    // Somebody new of the same name does not revive the old certificate.
    auth.advance(2_000);
    await admin.call(createUser, {
      username: 'alice',
      roles: ['admin'],
      traits: {},
      inviteTtlSeconds: 3600,
    });
    expect(await refusal(alice.call(listHosts, { role: 'Node' }))).toMatchObject({
      code: 'access_denied',
    });
  });
});
