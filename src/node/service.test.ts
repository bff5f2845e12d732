import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { second } from '../base/time.ts';
import type { Service } from '../base/service.ts';
import { lockStream, userStream } from '../domain/streams.ts';
import type { Fact, StreamName } from '../log/event.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { ProgramStart } from '../machine/user-process.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { ExitStatus } from '../ssh/channel-types.ts';
import type { SshClient } from '../ssh/client-types.ts';
import { proxyPreamble } from '../ssh/proxy-preamble.ts';
import { challengeOf } from '../ssh/server-banner.ts';
import { clientSigner } from '../ssh/signed-client.ts';
import type { openCommandLabels } from './command-labels.ts';
import { RefusedLogins } from './refused-logins.ts';
import {
  adminRole,
  authorityReplaced,
  begin,
  type Begun,
  bench,
  type Bench,
  cluster,
  dial,
  hostCa,
  hostId,
  identityOf,
  logIn,
  type Login,
  proxyId,
  proxyJoined,
  start,
  userCa,
  userCreated,
} from './service-testing.ts';

/** Of the machine: the C library, what programs print for labels, the accounts and the programs of people. */
const machine = vi.hoisted(() => ({
  libc: { status: 'loaded', libc: { keepDescriptorsFromChildren: () => undefined } } as unknown,
  labels: { values: {} as Record<string, string>, changed: () => undefined as void, maxBytes: 0 },
  labelsStop: () => undefined as void,
  account: undefined as unknown,
  programs: [] as { readonly start: unknown; readonly end: (exit: unknown) => void }[],
}));
vi.mock(import('../machine/libc.ts'), async (original) => ({
  ...(await original()),
  loadLibc: () => Promise.resolve(machine.libc as never),
}));
vi.mock(import('./command-labels.ts'), async (original) => ({
  ...(await original()),
  openCommandLabels: ((_labels, changed, _starter, maxBytes = 0) => {
    Object.assign(machine.labels, { changed, maxBytes });
    return Promise.resolve({
      values: () => machine.labels.values,
      stop: () => Promise.resolve(machine.labelsStop()),
    });
  }) as typeof openCommandLabels,
}));
vi.mock(import('./login-account.ts'), () => ({
  loginAccount: () => Promise.resolve(machine.account as never),
}));
vi.mock(import('../machine/user-process.ts'), async (original) => ({
  ...(await original()),
  startProgram: (started) => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const ended = Promise.withResolvers<ExitStatus>();
    const end = (exit: unknown): void => {
      stdout.end();
      stderr.end();
      ended.resolve(exit as ExitStatus);
    };
    machine.programs.push({ start: started, end });
    const hangUp = (): Promise<void> => {
      end({ status: 'signalled', signal: 'HUP', coreDumped: false, message: '' });
      return Promise.resolve();
    };
    return Promise.resolve({
      ...{ pid: 2, pipes: { stdin, stdout, stderr }, ended: ended.promise, hangUp },
      signal: () => Promise.resolve(true),
    }) as never;
  },
}));
const joe = { name: 'root', uid: 1000, gid: 1000, home: '/', shell: '/bin/sh', groups: [] } satisfies OsUser;
beforeEach(() => {
  machine.libc = { status: 'loaded', libc: { keepDescriptorsFromChildren: () => undefined } };
  Object.assign(machine.labels, { values: {}, changed: () => undefined, maxBytes: 0 });
  vi.restoreAllMocks();
  machine.labelsStop = () => undefined;
  machine.account = joe;
  machine.programs.length = 0;
});

const hostOf = (one: Bench, n = -1): unknown => one.beats.at(n)?.['host'];
const diagnosed = ({ running }: Begun): Record<string, unknown> | undefined => running.diagnostics?.();
const waitsFor = (one: Bench): string | undefined => (one.service as Required<Service>).waitsFor();
const namesOf = ({ told }: Bench): unknown[] => told.map(({ event, user }) => [event, user]);
const until = (what: () => void): Promise<void> => vi.waitFor(what, { timeout: 10_000 });
/** The program that was started last, once there are so many. */
const program = async (count = 1) => {
  await until(() => {
    expect(machine.programs).toHaveLength(count);
  });
  const { start: how, end } = machine.programs[count - 1] ?? { start: undefined, end: () => undefined };
  return { how: how as ProgramStart, end };
};

describe('a node that starts', () => {
  it('waits for auth, and says for what', async () => {
    const one = bench();
    one.link.away = 'nothing listens there';
    expect(waitsFor(one)).toBe('auth is away (nothing listens there)');
    one.link.away = undefined;
    expect(waitsFor(one)).toBeUndefined();
    one.link.refusal = 'too busy';
    const stopping = new AbortController();
    const starting = one.service.start(stopping.signal);
    await until(() => {
      expect(waitsFor(one)).toBe('heartbeat: too busy');
    });
    expect(one.listening.map(({ name, address }) => [name, address])).toEqual([
      ['node', { host: '0.0.0.0', port: 0 }],
    ]);
    // Who gives the start up does not wait for auth.
    stopping.abort();
    await (await starting).stop(0);
  });

  it('announces what it is, and where it is reached', async () => {
    const one = await begin();
    expect(one.service.name).toBe('node');
    expect(hostOf(one)).toMatchObject({
      ...{ hostId, role: 'Node', nodename: 'node-1', address: '10.0.0.2:3022', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: { env: 'test' } },
    });
    expect(hostOf(one)).not.toHaveProperty('measured');
    expect(waitsFor(one)).toBeUndefined();
    expect(one.running.condition()).toEqual({ status: 'serving', notices: [] });
  });

  it.each([
    [
      'the address it listens on, where that is one',
      { listenAddress: { host: '192.0.2.1', port: 0 } },
      '192.0.2.1:3022',
    ],
    ['the wildcard, where it knows no other', { advertiseIp: undefined }, '0.0.0.0:3022'],
  ])('announces %s', async (_what, config, address) => {
    const one = await begin({ config: config as never });
    expect(hostOf(one)).toMatchObject({ address });
  });

  it('announces the first of its public addresses, and the labels that programs print', async () => {
    machine.labels.values = { load: '1' };
    const commandLabels = [{ name: 'load', command: ['uptime'], periodSeconds: 1 }];
    const publicAddresses = ['a.example:22', 'b.example:22'];
    const one = await begin({ config: { publicAddresses, commandLabels } });
    expect(hostOf(one)).toMatchObject({
      ...{ publicAddress: 'a.example:22', labels: { env: 'test', load: '1' }, measured: ['load'] },
    });
    expect(machine.labels.maxBytes).toBeGreaterThan(0);
  });

  it('passes on over how long machines spread what they do at once', async () => {
    const one = bench();
    one.link.answer = { spreadMs: 7 };
    const running = await one.service.start();
    expect(one.spreads).toEqual([7]);
    await running.stop(0);
  });

  it('leaves nothing behind when it cannot listen', async () => {
    let stopped = 0;
    machine.labelsStop = () => void stopped++;
    const one = bench({ taken: true });
    await expect(one.service.start()).rejects.toThrow('node is taken');
    expect([one.state.readers.size, one.beats.length, stopped]).toEqual([0, 0, 1]);
  });

  it('keeps its descriptors from programs, or says what does not work', async () => {
    const keep = vi.fn();
    machine.libc = { status: 'loaded', libc: { keepDescriptorsFromChildren: keep } };
    const well = await begin();
    expect(keep).toHaveBeenCalledOnce();
    expect(well.sink.lines.join()).not.toContain('without a terminal');
    machine.libc = { status: 'unavailable', reason: 'no terminals: musl' };
    const one = await begin();
    expect(one.sink.lines).toContainEqual('warn no terminals: musl; sessions without a terminal work {}');
    expect(one.running.condition()).toMatchObject({ status: 'degraded', lacks: ['no terminals: musl'] });
  });

  it.each([
    [0, false],
    [1000, true],
  ])('that runs with id %i says whether only its own account can log in: %s', async (id, says) => {
    const own = vi.spyOn(process, 'getuid').mockReturnValue(id);
    const one = await begin();
    own.mockRestore();
    const line = 'warn this node does not run as root: only its own account can log in here {}';
    expect(one.sink.lines.includes(line)).toBe(says);
  });
});

describe('who comes to a node', () => {
  it('is let in as a user with a role for this login, and counted while connected', async () => {
    const one = await begin();
    const alice = await logIn(one);
    expect(diagnosed(one)).toEqual({
      ...{ connections: 1, sessions: 0, forwards: 0, oldestSeconds: 0 },
      ...{ auditWaiting: 3, disk: 'writable', auth: 'connected' },
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
      const stream = dial(one);
      const banner = await new Promise<string>((resolve) => {
        stream.once('data', (chunk: Buffer) => {
          stream.pause();
          stream.unshift(chunk);
          resolve(chunk.toString());
        });
      });
      const challenge = challengeOf(banner) ?? '';
      stream.write(proxyPreamble(sign({ challenge, hostId: to, client })));
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

describe('whoever is connected', () => {
  it.each([
    ['a deletion', [userStream('alice'), { type: 'user.deleted', data: {} }], /does not exist/],
    ['a role', adminRole('updated', {}, { logins: ['other'] }), /no role allows/],
    ['an authority', authorityReplaced(), /is not trusted/],
    ['a lock of the user', lock('user', 'alice'), /lock targeting .* is in force: away/],
    ['a lock of the login', lock('login', 'root'), /is in force/],
    ['a lock of this node by its id', lock('node', hostId), /is in force/],
    ['a lock of this node by its name', lock('node', 'node-1'), /is in force/],
    ['a lock of the certificate', lock('serial', '77'), /is in force/],
  ] as [string, [StreamName, Fact], RegExp][])('leaves by %s, on record', async (_what, fact, reason) => {
    const one = await begin();
    const alice = await logIn(one, { serial: 77n });
    one.tell(userCreated('bob'));
    await turn();
    expect(diagnosed(one)).toMatchObject({ connections: 1 });
    one.tell(fact);
    const told = (await alice.closed)?.message ?? '';
    expect(told).toContain(_what.startsWith('a lock') ? 'is in force: away' : 'access was withdrawn');
    expect(one.told).toMatchObject([
      {
        event: 'client.disconnect',
        user: 'alice',
        login: 'root',
        reason: expect.stringMatching(reason) as string,
      },
    ]);
  });

  it('leaves when a label that a program prints takes the node out of the roles', async () => {
    const labels = { nodeLabels: { env: ['test'] } };
    const one = await begin();
    one.tell(adminRole('updated', {}, labels));
    const alice = await logIn(one);
    machine.labels.values = { env: 'live' };
    machine.labels.changed();
    expect((await alice.closed)?.message).toContain('access was withdrawn');
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
    const sid = String(one.told.find(({ event }) => event === 'session.start')?.['sid']);
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

describe('labels that programs print', () => {
  it('are told at once, and again at most every five seconds', async () => {
    const one = await begin();
    const { length } = one.beats;
    const beats = (): number => one.beats.length - length;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    machine.labels.values = { load: '1' };
    machine.labels.changed();
    await vi.advanceTimersByTimeAsync(0);
    expect(beats()).toBe(1);
    expect(hostOf(one)).toMatchObject({ labels: { env: 'test', load: '1' } });
    machine.labels.values = { load: '2' };
    machine.labels.changed();
    machine.labels.changed();
    await vi.advanceTimersByTimeAsync(5 * second - 1);
    expect(beats()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(beats()).toBe(2);
    expect(hostOf(one)).toMatchObject({ labels: { load: '2' } });
  });
});

describe('a node that stops', () => {
  it('closes in this order: listener, who is here, labels, announcement, record, views', async () => {
    const one = await begin();
    const alice = await logIn(one);
    machine.labelsStop = () => void one.order.push('labels');
    one.order.length = 0;
    let done = false;
    void one.running.done.then(() => (done = true));
    const stopping = one.running.stop(60 * second);
    await turn();
    expect(one.order).toEqual(['listener']);
    const refused = dial(one);
    refused.on('error', () => undefined);
    expect(one.state.readers.size).toBeGreaterThan(0);
    alice.close();
    refused.destroy();
    await stopping;
    expect(one.order).toEqual(['listener', 'labels', 'farewell']);
    expect(one.state.readers.size).toBe(0);
    await one.running.done;
    expect(done).toBe(true);
  });

  it('says no farewell where another process serves on', async () => {
    const one = await begin();
    await one.running.stop(0, 'succeeded');
    expect(one.order).not.toContain('farewell');
  });

  it('waits no longer than it was given, then tells who is left, and lets nobody in', async () => {
    const one = await begin();
    const alice = await logIn(one);
    const session = await alice.exec('one');
    await program();
    const stopping = one.running.stop(60 * second);
    await turn();
    expect(diagnosed(one)).toMatchObject({ connections: 1, sessions: 1 });
    const cut = one.running.stop(0);
    expect((await alice.closed)?.message).toContain('the server is stopping');
    await Promise.all([stopping, cut]);
    await session.exit;
    expect(diagnosed(one)).toMatchObject({ connections: 0 });
    expect(namesOf(one)).toContainEqual(['session.end', 'alice']);
    const late = dial(one);
    await new Promise((resolve) => late.once('close', resolve));
  });

  it('waits until all is on record, those who were refused last, and follows the cluster until then', async () => {
    const kept = Promise.withResolvers<undefined>();
    const told: string[] = [];
    const one = await begin({
      deps: {
        outbox: {
          emit: (event) => {
            told.push(event.event);
            return kept.promise;
          },
          ...{ disk: () => ({ status: 'writable' }), pending: () => 0, trouble: () => undefined },
        },
      },
    });
    const refused = vi.spyOn(RefusedLogins.prototype, 'close');
    const alice = await logIn(one);
    one.tell([userStream('alice'), { type: 'user.deleted', data: {} }]);
    await alice.closed;
    expect(told).toEqual(['client.disconnect']);
    let over = false;
    const stopping = one.running.stop(0).then(() => (over = true));
    await until(() => {
      expect(refused).toHaveBeenCalledOnce();
    });
    for (let n = 0; n < 5; n++) await turn();
    expect([over, one.state.readers.size > 0]).toEqual([false, true]);
    kept.resolve(undefined);
    await stopping;
    expect(one.state.readers.size).toBe(0);
  });

  it('looks at nothing any more', async () => {
    const one = await begin();
    await one.running.stop(0);
    const { length } = one.beats;
    one.standing.adopted = ['x:init', ''];
    one.identity.replace({ client: identityOf(), server: identityOf() });
    machine.labels.changed();
    await turn();
    expect(one.beats).toHaveLength(length);
  });
});

it('a node whose cluster is not known yet lets nobody in, and says so', async () => {
  const one = bench();
  const running = await one.service.start();
  expect(running.condition()).toMatchObject({ status: 'not serving' });
  await expect(logIn(one)).rejects.toMatchObject({ code: 'access_denied' });
  one.tell(...cluster());
  expect(running.condition()).toMatchObject({ status: 'serving' });
  const alice = await logIn(one, { ca: userCa });
  alice.close();
  await running.stop(0);
});
