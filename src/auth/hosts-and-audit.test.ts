import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { hour, minute, plusMs, second } from '../base/time.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import type { HostRecord } from '../domain/host-info.ts';
import { emitAudit } from './audit/emit-audit.ts';
import { heartbeat, withRealHost } from './host/heartbeat.ts';
import { listHosts } from './host/list-hosts.ts';
import { searchAudit } from './audit/search-audit.ts';
import {
  addRole,
  addUser,
  adminCall,
  eventsOf,
  hostCall,
  openTestAuth,
  type TestAuth,
  userCall,
} from './testing.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const node = (n: number, extra: Partial<HostRecord> = {}): HostRecord => ({
  hostId: idOf(0xb00 + n),
  role: 'Node',
  nodename: `node-${n}`,
  address: `10.0.0.${n}:3022`,
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
  ...extra,
});
const beat = (host: HostRecord, ttlSeconds = 60) =>
  heartbeat(auth.deps, hostCall(host.role, host.hostId), { host, ttlSeconds });
const list = async (call = adminCall, labels = {}) =>
  (await listHosts(auth.deps, call, { role: 'Node', labels })).hosts.map((host) => host.nodename);

describe('a heartbeat', () => {
  it('makes a host known at once, and forgotten when it stays away', async () => {
    await beat(node(2));
    await beat(node(1));
    expect(await list()).toEqual(['node-1', 'node-2']);
    auth.world.advance(60 * second);
    expect(await list()).toEqual([]);
  });

  it('is membership only where something changed, and one fact for all who renewed', async () => {
    for (const n of [1, 2, 3]) await beat(node(n));
    const members = (await eventsOf(auth.log, 'state')).length;
    const renewals = (await eventsOf(auth.log, 'presence')).length;
    for (let i = 0; i < 5; i++) for (const n of [1, 2, 3]) await beat(node(n));
    await auth.deps.presence.flush();
    expect((await eventsOf(auth.log, 'state')).length).toBe(members);
    expect((await eventsOf(auth.log, 'presence')).length).toBe(renewals + 1);
    await beat(node(1, { labels: { env: 'prod' } }));
    expect((await eventsOf(auth.log, 'state')).at(-1)?.fact).toMatchObject({ type: 'host.changed' });
  });

  it('speaks only for its own host, in its own role', async () => {
    const host = node(1);
    const calls = [hostCall('Node', idOf(9)), hostCall('Proxy', host.hostId), adminCall, userCall('alice')];
    for (const call of calls)
      await expect(heartbeat(auth.deps, call, { host, ttlSeconds: 60 })).rejects.toMatchObject({
        code: 'access_denied',
      });
    expect(await list()).toEqual([]);
  });

  it.each(['teleport.cluster.local', '*', idOf(7), 'a b', 'a\nb', '\u202enode-2'])(
    'announces no name that a join would refuse: %j',
    async (nodename) => {
      await beat(node(1));
      await expect(beat(node(1, { nodename }))).rejects.toMatchObject({ code: 'bad_request' });
      await expect(beat(node(2, { nodename }))).rejects.toMatchObject({ code: 'bad_request' });
      expect(await list()).toEqual(['node-1']);
    },
  );

  it('is taken from who changes too often, but no change until later; then the newest wins', async () => {
    await beat(node(1));
    await beat(node(2));
    let answer: Awaited<ReturnType<typeof beat>> = {};
    for (let n = 0; n < 100; n++) answer = await beat(node(1, { labels: { n: String(n) } }));
    expect(answer).toMatchObject({
      changeAfterMs: expect.any(Number) as number,
      notice: expect.stringMatching(/quota of changes .* is used up for node:/) as string,
    });
    const changes = (await eventsOf(auth.log, 'state')).filter(({ fact }) => fact.type === 'host.changed');
    expect(changes.length).toBeLessThan(30);
    await vi.waitFor(async () => {
      const told = JSON.stringify(await eventsOf(auth.log, 'audit'));
      expect(told).toMatch(/"event":"quota.exceeded","code":"TQ000W",[^}]*"quota":"changes"/);
    });
    auth.world.advance(59 * second);
    await beat(node(1, { labels: { n: 'newest' } }));
    // It is alive meanwhile, and others are served.
    expect(await list()).toEqual(['node-1', 'node-2']);
    auth.world.advance(answer.changeAfterMs ?? 0);
    expect(await beat(node(1, { labels: { n: 'newest' } }))).toEqual({});
    expect(await list(adminCall, { n: 'newest' })).toEqual(['node-1']);
  });

  it.each([
    ['0.0.0.0:3022', '10.0.0.9:4711', '10.0.0.9:3022'],
    ['[::]:3022', '[::ffff:10.0.0.9]:4711', '10.0.0.9:3022'],
    ['[::]:3022', '[2001:db8::9]:4711', '[2001:db8::9]:3022'],
    ['10.1.1.1:3022', '10.0.0.9:4711', '10.1.1.1:3022'],
  ])('gives %s, heard from %s, the address %s', (address, peer, real) => {
    expect(withRealHost(address, peer)).toBe(real);
  });
});

describe('listing hosts', () => {
  it('filters by labels', async () => {
    await beat(node(1, { labels: { env: 'prod', os: 'linux' } }));
    await beat(node(2, { labels: { env: 'test' } }));
    expect(await list(adminCall, { env: 'prod' })).toEqual(['node-1']);
    expect(await list(adminCall, { env: 'prod', os: 'bsd' })).toEqual([]);
  });

  it('shows a person the nodes its roles admit', async () => {
    await beat(node(1, { labels: { env: 'prod' } }));
    await beat(node(2, { labels: { env: 'test' } }));
    await addRole(auth, {
      name: 'tester',
      options: {
        maxSessionTtlSeconds: 3600,
        forwardAgent: false,
        portForwarding: true,
        disconnectExpiredCert: false,
        clientIdleTimeoutSeconds: 0,
        maxSessions: 0,
      },
      allow: { logins: ['root'], nodeLabels: { env: ['test'] } },
      deny: { logins: [], nodeLabels: {} },
    });
    await addUser(auth, 'bob', 'correct horse', ['tester']);
    await beat(node(1, { labels: { env: 'prod' } }));
    await beat(node(2, { labels: { env: 'test' } }));
    expect(await list(userCall('bob', ['tester']))).toEqual(['node-2']);
    expect(await list(hostCall('Proxy'))).toEqual(['node-1', 'node-2']);
    await expect(list(userCall('bob', ['gone']))).rejects.toMatchObject({ code: 'access_denied' });
  });
});

const told = (extra: Partial<ParsedAuditEvent> = {}): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'exec',
    code: 'T3002I',
    uid: auth.world.uuid(),
    time: auth.world.now(),
    ei: 0,
    ...extra,
  });
const emit = (events: ParsedAuditEvent[], n = 1) =>
  emitAudit(auth.deps, hostCall('Node', idOf(0xb00 + n)), { events });
const search = (extra: object = {}) =>
  searchAudit(auth.deps, adminCall, {
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-02-01T00:00:00.000Z',
    types: [],
    user: '',
    limit: 100,
    ...extra,
  });

describe('emitting audit events', () => {
  it('stores each once, however often and in whatever batches they come', async () => {
    const events = [1, 2, 3].map((n) => told({ sid: idOf(7), ei: n }));
    await emit(events.slice(0, 2));
    await emit(events);
    await Promise.all([emit(events), emit(events)]);
    expect(
      (await eventsOf(auth.log, 'audit')).filter((one) => one.stream.startsWith('session-')),
    ).toHaveLength(3);
  });

  it('knows them after a restart, and at another auth server', async () => {
    const events = [told(), told({ sid: idOf(7) })];
    await emit(events);
    const other = await openTestAuth({ log: auth.log, world: auth.world, hostId: idOf(0xaa) });
    await emitAudit(other.deps, hostCall('Node', idOf(0xb01)), { events });
    await other.close();
    const { events: found } = await search({ types: ['exec'] });
    expect(found.map((one) => one.uid).sort()).toEqual(events.map((one) => one.uid).sort());
  });

  it('says who told, whatever the event claims', async () => {
    await beat(node(1));
    await emit([
      told({ actor: 'admin', server_hostname: 'auth-1', user: 'alice', time: '2099-01-01T00:00:00.000Z' }),
    ]);
    const { events } = await search({ types: ['exec'] });
    expect(events).toMatchObject([
      {
        ...{ server_id: idOf(0xb01), server_hostname: 'node-1', actor: `node:${idOf(0xb01)}` },
        ...{ time: auth.world.now(), received: auth.world.now(), user: 'alice', unknown_user: true },
        claimed: { actor: 'admin', server_hostname: 'auth-1', time: '2099-01-01T00:00:00.000Z' },
      },
    ]);
    const stored = (await eventsOf(auth.log, 'audit')).at(-1);
    expect(stored?.cause.actor).toBe(`node:${idOf(0xb01)}`);
    await expect(emit([told({ event: 'user.login', code: 'T1000I' })])).rejects.toMatchObject({
      code: 'bad_request',
    });
  });

  it('stores in several appends what is too large for one, each event once', async () => {
    const events = Array.from({ length: 30 }, (_, n) =>
      told({ sid: idOf(7), ei: n, command: '字'.repeat(10_000) }),
    );
    await emit(events);
    await emit(events);
    const { events: found } = await search({ types: ['exec'] });
    expect(found.map((one) => one.ei)).toEqual(events.map((one) => one.ei));
  });

  it('says of one that no append takes that it never will', async () => {
    await expect(emit([told({ command: 'x'.repeat(70_000) })])).rejects.toMatchObject({ code: 'too_large' });
  });

  it('takes a spool of twenty thousand at once, and puts off who goes on at that rate, without losing any', async () => {
    const batch = (): ParsedAuditEvent[] => Array.from({ length: 200 }, () => told());
    // A new machine has nothing to give back yet.
    await beat(node(2));
    for (let n = 0; n < 25; n++) await emit(batch(), 2);
    await expect(emit(batch(), 2)).rejects.toMatchObject({ code: 'quota' });
    await beat(node(1));
    auth.world.advance(hour);
    for (let n = 0; n < 100; n++) await emit(batch());
    const late = batch();
    const refused = await emit(late).catch((e: unknown) => e);
    expect(refused).toMatchObject({ code: 'quota', retryAfterMs: expect.any(Number) as number });
    await emit([told()], 2);
    auth.world.advance((refused as CodedError).retryAfterMs ?? 0);
    await emit(late);
    const stored = (await eventsOf(auth.log, 'audit')).filter(({ stream }) => stream.endsWith(idOf(0xb01)));
    expect(stored).toHaveLength(20_200);
  });

  it('counts nothing against a machine while the store takes nothing', async () => {
    const append = vi.spyOn(auth.log.audit, 'append');
    append.mockRejectedValue(new CodedError('unavailable', 'the store is away'));
    const batch = Array.from({ length: 200 }, () => told());
    for (let n = 0; n < 150; n++) await expect(emit(batch)).rejects.toMatchObject({ code: 'unavailable' });
    append.mockRestore();
    await emit(batch);
  });

  it('refuses an event of another server for good, and with it the batch', async () => {
    const refused = emit([told(), told({ server_id: idOf(5) })]);
    await expect(refused).rejects.toMatchObject({ code: 'bad_request' });
    await expect(emit([told({ sid: '../x y' })])).rejects.toMatchObject({ code: 'bad_request' });
    expect((await search({ types: ['exec'] })).events).toEqual([]);
  });
});

describe('searching the audit', () => {
  it('merges what hosts told with what the state says, by time', async () => {
    await addUser(auth, 'alice', 'correct horse');
    await emit([told({ user: 'alice' })]);
    const { events, truncated } = await search();
    const types = events.map((one) => one.event);
    expect(types.indexOf('user.create')).toBeGreaterThanOrEqual(0);
    expect(types.indexOf('exec')).toBeGreaterThan(types.indexOf('user.create'));
    expect(types).toContain('user.password_change');
    expect(events.map((one) => one.time)).toEqual(events.map((one) => one.time).sort());
    expect(truncated).toBe(false);
    expect(JSON.stringify(events)).not.toContain('argon2');
  });

  it('finds by time, type and user; an event that waited in a spool by when it happened', async () => {
    const at = auth.world.now();
    const late = told({ user: 'alice' });
    auth.world.advance(3_600 * second);
    await emit([late, told({ user: 'bob' })]);
    const window = { from: at, to: '2026-01-01T00:10:00.000Z', types: ['exec'] };
    expect((await search(window)).events.map((one) => one.user)).toEqual(['alice']);
    expect((await search({ user: 'bob' })).events.map((one) => one.event)).toEqual(['exec']);
    expect((await search({ user: 'nobody' })).events).toEqual([]);
  });

  it('finds what was told while a clock was wrong', async () => {
    const from = auth.world.now();
    // Stored by an auth server five hours behind, and told by a host five hours ahead.
    await emit([told({ n: 1, time: plusMs(from, 5 * hour) })]);
    const late = { from: plusMs(from, 4 * hour), to: plusMs(from, 6 * hour), types: ['exec'] };
    expect((await search(late)).events.map((one) => one['n'])).toEqual([1]);
    // What is stamped with a moment to come has happened by now.
    const now = { from, to: auth.world.now(), types: ['exec'] };
    auth.world.advance(minute);
    expect((await search({ ...now, to: auth.world.now() })).events).toHaveLength(1);
    auth.world.advance(hour);
    expect((await search({ ...now, to: plusMs(auth.world.now(), -30 * minute) })).events).toEqual([]);
  });

  it('dates what the state says by the clock of who wrote it, not by the time of the log that stood ahead', async () => {
    const cause = { at: plusMs(auth.world.now(), 5 * hour), actor: 'admin', requestId: 'r' };
    const facts = [{ type: 'trial.happened', data: {} }];
    await auth.log.state.append([{ stream: 'trial-clock', expected: 0, facts }], cause);
    const from = auth.world.now();
    await addUser(auth, 'alice', 'correct horse');
    const { events } = await search({ from, to: plusMs(from, minute), types: ['user.create'] });
    expect(events.map((one) => one.time)).toEqual([from]);
  });

  it('keeps the newest when more match, and says so', async () => {
    for (let n = 0; n < 30; n++) {
      auth.world.advance(second);
      await emit([told({ n })]);
    }
    const { events, truncated } = await search({ types: ['exec'], limit: 5 });
    expect(events.map((one) => one['n'])).toEqual([25, 26, 27, 28, 29]);
    expect(truncated).toBe(true);
  });

  it('refuses an empty span of time', async () => {
    await expect(search({ to: '2026-01-01T00:00:00.000Z' })).rejects.toMatchObject({ code: 'bad_request' });
  });
});
