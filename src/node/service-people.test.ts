import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { second } from '../base/time.ts';
import { lockStream, userStream } from '../domain/streams.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { SshClient } from '../ssh/client-types.ts';
import { type Preamble, proxyPreamble } from '../ssh/proxy-preamble.ts';
import { challengeOf } from '../ssh/server-banner.ts';
import { clientSigner } from '../ssh/signed-client.ts';
import { machine, program } from './machine-testing.ts';
import {
  adminRole,
  authorityReplaced,
  begin,
  diagnosed,
  dial,
  hostCa,
  hostId,
  identityOf,
  logIn,
  type Login,
  proxyId,
  proxyJoined,
  start,
  until,
  userCreated,
} from './service-testing.ts';

/** A connection on which a proxy has answered the challenge of the node. */
async function introduced(
  one: Parameters<typeof dial>[0],
  answer: (challenge: string) => Preamble,
): Promise<ReturnType<typeof dial>> {
  const stream = dial(one);
  const banner = await new Promise<string>((resolve) => {
    stream.once('data', (chunk: Buffer) => {
      stream.pause();
      stream.unshift(chunk);
      resolve(chunk.toString());
    });
  });
  stream.write(proxyPreamble(answer(challengeOf(banner) ?? '')));
  return stream;
}

describe('who comes to a node', () => {
  it('is let in as a user with a role for this login, and counted while connected', async () => {
    const one = await begin();
    const alice = await logIn(one);
    expect(diagnosed(one)).toEqual({
      ...{ connections: 1, sessions: 0, forwards: 0, oldestSeconds: 0 },
      ...{ auditWaiting: 3, recordingsWaiting: 0, disk: 'writable', auth: 'connected' },
    });
    expect(one.gauges.get('node_ssh_connections')).toBe(1);
    expect(one.counters.get('node_ssh_connections_total')).toBe(1);
    alice.close();
    await until(() => {
      expect(one.gauges.get('node_ssh_connections')).toBe(0);
    });
    expect(diagnosed(one)).toMatchObject({ connections: 0, oldestSeconds: 0 });
    one.link.away = 'refused';
    expect(diagnosed(one)).toMatchObject({ auth: 'away' });
    expect(one.counters.get('node_ssh_logins_refused_total')).toBeUndefined();
  });

  it.each([
    ['no user of the cluster', { username: 'mallory' }, /the user does not exist/],
    ['a user without a role for the login', { login: 'deploy' }, /no role allows/],
    ['of another authority', { ca: hostCa }, /^unknown-ca$/],
  ] as [string, Login, RegExp][])(
    'is refused as %s: told nothing, and on record with the reason',
    async (_who, wish, reason) => {
      const one = await begin();
      const failure = await logIn(one, wish).catch((e: unknown) => e as Error);
      expect(failure).toMatchObject({ code: 'access_denied' });
      expect((failure as Error).message).not.toMatch(/exist|role/);
      expect(one.told).toMatchObject([
        {
          event: 'auth',
          success: false,
          error: expect.stringMatching(reason) as string,
          login: wish.login ?? 'root',
        },
      ]);
      expect(one.counters.get('node_ssh_logins_refused_total')).toBe(1);
      expect(one.gauges.size).toBe(0);
    },
  );

  it('is refused by the clock of this node, in whole seconds', async () => {
    const one = await begin();
    const line = dial(one);
    // The certificate is of an hour before, and ended in this second.
    const late = logIn({ ...one, world: { ...one.world, now: () => start } }, { ttlSeconds: 60 }, line);
    one.world.advance(60 * second);
    await expect(late).rejects.toMatchObject({ code: 'access_denied' });
    expect(one.told).toMatchObject([{ event: 'auth', error: expect.stringMatching(/expired/) as string }]);
  });

  it('is named by a proxy that signs, and by nobody else', async () => {
    const one = await begin();
    one.tell(proxyJoined());
    const client = { host: '203.0.113.9', port: 4022 };
    const proxy = identityOf('Proxy');
    const sign = clientSigner(
      privateKeyFromPem(proxy.privateKeyPem),
      fromAuthorizedKeyLine(proxy.sshCertificate),
    );
    const named = async (to: string): Promise<unknown> => {
      const stream = await introduced(one, (challenge) => sign({ challenge, hostId: to, client }));
      return logIn(one, { username: 'mallory' }, stream).catch((e: unknown) => (e as { code: string }).code);
    };
    expect(await named(hostId)).toBe('access_denied');
    expect(one.told).toMatchObject([{ event: 'auth', 'addr.remote': '203.0.113.9:4022' }]);
    expect(await named(proxyId)).toBe('unavailable');
    expect(one.told).toHaveLength(1);
    expect(one.sink.lines).toContainEqual(
      expect.stringMatching(/^warn ssh connection refused .*another node/),
    );
  });

  it('has a first session with the id that a proxy gave to the connection, and then ids of its own', async () => {
    const one = await begin();
    one.tell(proxyJoined());
    const proxy = identityOf('Proxy');
    const sign = clientSigner(
      privateKeyFromPem(proxy.privateKeyPem),
      fromAuthorizedKeyLine(proxy.sshCertificate),
    );
    const session = '11111111-2222-4333-8444-555555555555';
    const client = { host: '203.0.113.9', port: 4022 };
    const stream = await introduced(one, (challenge) => sign({ challenge, hostId, client, session }));
    const alice = await logIn(one, {}, stream);
    for (const command of ['one', 'two']) await alice.exec(command);
    const starts = one.told.filter(({ event }) => event === 'session.start');
    expect(starts).toMatchObject([{ sid: session }, { connected_as: session }]);
    expect(starts[1]?.sid).not.toBe(session);
    expect(starts[0]).not.toHaveProperty('connected_as');
    alice.close();
  });

  it('is shown the newest certificate, and auth hears of what was adopted with it', async () => {
    const one = await begin();
    const shown = (client: SshClient): string | undefined => client.hostCertificate?.key.blob.toString('hex');
    const before = await logIn(one);
    const { length } = one.beats;
    const next = identityOf();
    one.standing.adopted = ['', '12345678:update_clients'];
    one.identity.replace({ client: identityOf(), server: next });
    const after = await logIn(one);
    expect(shown(after)).not.toBe(shown(before));
    await until(() => {
      expect(one.beats.slice(length)).toMatchObject([{ adopted: ['', '12345678:update_clients'] }]);
    });
    before.close();
    after.close();
  });
});

const lock = (kind: string, name: string): [StreamName, Fact] => [
  lockStream('a'),
  { type: 'lock.created', data: { target: { kind, name }, message: 'away' } },
];
const aliceDeleted: [StreamName, Fact] = [userStream('alice'), { type: 'user.deleted', data: {} }];
/** What the person is told: of a deletion and a lock, and of nothing else. */
const [withdrawn, locked] = ['access was withdrawn', 'is in force: away'];

describe('whoever is connected', () => {
  it.each([
    ['a deletion', aliceDeleted, /does not exist/, 'user "alice" has been deleted'],
    ['a role', adminRole('updated', {}, { logins: ['other'] }), /no role allows/, withdrawn],
    ['an authority', authorityReplaced(), /is not trusted/, withdrawn],
    ['a lock of the user', lock('user', 'alice'), /lock targeting .* is in force: away/, locked],
    ['a lock of the login', lock('login', 'root'), /is in force/, locked],
    ['a lock of this node by its id', lock('node', hostId), /is in force/, locked],
    ['a lock of this node by its name', lock('node', 'node-1'), /is in force/, locked],
    ['a lock of the certificate', lock('serial', '77'), /is in force/, locked],
  ] as [string, [StreamName, Fact], RegExp, string][])(
    'leaves by %s, on record',
    async (_by, fact, reason, words) => {
      const one = await begin();
      const alice = await logIn(one, { serial: 77n });
      one.tell(userCreated('bob'));
      await turn();
      expect(diagnosed(one)).toMatchObject({ connections: 1 });
      one.tell(fact);
      expect((await alice.closed)?.message).toContain(words);
      expect(one.told).toMatchObject([
        {
          event: 'client.disconnect',
          user: 'alice',
          login: 'root',
          reason: expect.stringMatching(reason) as string,
        },
      ]);
    },
  );

  it('leaves when a label that a program prints takes the node out of the roles', async () => {
    const labels = { nodeLabels: { env: ['test'] } };
    const one = await begin();
    one.tell(adminRole('updated', {}, labels));
    const alice = await logIn(one);
    machine.labels.values = { env: 'live' };
    machine.labels.changed();
    expect((await alice.closed)?.message).toContain(withdrawn);
  });

  it('hears of a rotation that this node has followed by now', async () => {
    const one = await begin();
    const { length } = one.beats;
    one.standing.adopted = ['r:init', ''];
    one.tell(authorityReplaced());
    await until(() => {
      expect(one.beats.slice(length)).toMatchObject([{ adopted: ['r:init', ''] }]);
    });
  });
});

describe('a session', () => {
  it('runs in the environment that this node gives it', async () => {
    const one = await begin({ config: { acceptEnv: ['FOO'] } });
    one.tell(proxyJoined({ publicAddress: 'web.example:443' }));
    const alice = await logIn(one);
    await alice.exec('true', { env: { FOO: 'foo', LD_PRELOAD: '/x' } });
    const { how, end } = await program();
    expect(Object.fromEntries(how.environment)).toMatchObject({
      ...{ FOO: 'foo', SSH_SESSION_WEBPROXY_ADDR: 'web.example:443', SSH_TELEPORT_HOST_UUID: hostId },
      SSH_TELEPORT_CLUSTER_NAME: 'example',
    });
    expect(Object.keys(Object.fromEntries(how.environment))).not.toContain('LD_PRELOAD');
    expect(diagnosed(one)).toMatchObject({ connections: 1, sessions: 1, forwards: 0 });
    expect(one.told[0]).toMatchObject({
      ...{ event: 'session.start', server_id: hostId, server_hostname: 'node-1', user: 'alice' },
      ...{ server_addr: '10.0.0.2:3022', server_labels: { env: 'test' } },
    });
    end({ status: 'exited', code: 0 });
    alice.close();
  });

  it('is ended by a lock of its own, which its terminal is told, and no other session is', async () => {
    const one = await begin();
    const alice = await logIn(one);
    const [first, other] = [await alice.exec('one'), await alice.exec('two')];
    await program(2);
    const sid = String(one.told.find(({ event }) => event === 'session.start')?.sid);
    let said = '';
    first.channel.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    one.tell(lock('session', sid));
    expect(await first.exit).toEqual({ status: 'exited', code: 255 });
    expect(said).toMatch(/lock targeting .* is in force: away/);
    expect(diagnosed(one)).toMatchObject({ connections: 1, sessions: 1 });
    other.channel.destroy();
    alice.close();
  });
});
