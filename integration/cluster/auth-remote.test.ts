import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openAuditOutbox } from '../../src/api/audit-outbox.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { searchAudit } from '../../src/api/operations/audit.ts';
import { readAuthPreference } from '../../src/api/operations/cluster.ts';
import { heartbeat } from '../../src/api/operations/host.ts';
import { acceptInvite } from '../../src/api/operations/invite.ts';
import { createUser as createUserRow, listUsers } from '../../src/api/operations/user.ts';
import { recordingSink } from '../../src/api/testing.ts';
import { realWorld } from '../../src/base/world.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../../src/domain/audit-event.ts';
import type { Followed } from '../../src/log/event.ts';
import { hostsView } from '../../src/views/hosts.ts';
import { hostsInRole } from '../../src/views/sorted-hosts.ts';
import { openView } from '../../src/views/open-view.ts';
import { presenceOf, presenceViewBy } from '../../src/views/presence.ts';
import { findUser, usersView } from '../../src/views/users.ts';
import {
  type AuthBench,
  badLinkTo,
  clientOf,
  identityOf,
  type Material,
  startAuth,
} from '../harness/auth-bench.ts';

let auth: AuthBench;
const closers: (() => unknown)[] = [];
const later = <T extends { close(): unknown }>(one: T): T => {
  closers.push(() => one.close());
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

const clientAs = async (
  role: 'Admin' | 'Proxy' | 'Node',
  hostId: string = randomUUID(),
): Promise<AuthClient> => later(clientOf([auth.address()], await identityOf(auth, role, hostId)));
const createUser = (admin: AuthClient, username: string) =>
  admin.call(createUserRow, { username, roles: ['admin'], traits: {}, inviteTtlSeconds: 3600 });
const hostInfo = (hostId: string, role: 'Node' | 'Proxy') => ({
  hostId,
  role,
  nodename: `${role}-1`,
  address: '10.0.0.1:3022',
  publicAddress: '',
  labels: { env: 'test' },
  version: '4.5.0',
});

describe('folding the log from afar', () => {
  it('holds what a caller just wrote, at the position it was told', async () => {
    const admin = await clientAs('Admin');
    const node = await clientAs('Node');
    const users = later(await openView(usersView, node.state));
    for (const name of ['alice', 'bob', 'carol']) {
      const { position } = await createUser(admin, name);
      await users.reached(position);
      expect(findUser(users.state(), name)?.state.roles).toEqual(['admin']);
      expect((await admin.call(listUsers, {})).users.map((one) => one.username)).toContain(name);
    }
  });

  it('shows a node no invites, no logins, no secrets and no other nodes; a proxy all hosts and who is alive', async () => {
    const admin = await clientAs('Admin');
    const ids = { Node: randomUUID(), Proxy: randomUUID() };
    const node = await clientAs('Node', ids.Node);
    const proxy = await clientAs('Proxy', ids.Proxy);
    await node.call(heartbeat, { host: hostInfo(ids.Node, 'Node'), ttlSeconds: 60 });
    await proxy.call(heartbeat, { host: hostInfo(ids.Proxy, 'Proxy'), ttlSeconds: 60 });
    const { inviteToken, position } = await createUser(admin, 'alice');
    await proxy.call(acceptInvite, {
      token: inviteToken,
      password: 'correct horse',
      otp: '',
      clientAddress: '192.0.2.1:1',
    });
    const seen = async (client: AuthClient): Promise<Followed[]> => {
      const got: Followed[] = [];
      const subscription = client.state.follow(0).subscribe((one) => got.push(one));
      const head = await auth.log.state.head();
      await vi.waitFor(() => {
        expect(got.at(-1)?.position).toBe(head);
      });
      subscription.unsubscribe();
      return got;
    };
    const byNode = await seen(node);
    const types = new Set(byNode.flatMap((one) => one.fact?.type ?? []));
    expect([...types].sort()).toEqual([
      'authority.created',
      'cluster.created',
      'configuration.adopted',
      'configuration.declared',
      'host.joined',
      'role.created',
      'user.created',
      'user.password_set',
    ]);
    expect(byNode.filter((one) => one.fact?.type === 'host.joined')).toHaveLength(1);
    const text = JSON.stringify([byNode, await seen(proxy), await seen(admin)]);
    expect(text).not.toContain('ciphertext');
    expect(position).toBeGreaterThan(0);
    const hosts = later(await openView(hostsView, proxy.state));
    const clock = { now: () => realWorld.now(), monotonic: () => performance.now() };
    const presence = later(await openView(presenceViewBy(clock), proxy.presence));
    await hosts.reached(await auth.log.state.head());
    await presence.reached(await auth.log.presence.head());
    const [listed] = hostsInRole(hosts.state(), 'Node');
    expect(listed).toMatchObject({ hostId: ids.Node, labels: { env: 'test' } });
    expect(listed && presenceOf(presence.state(), listed, clock.monotonic()).status).toBe('alive');
    node.presence.follow(0).subscribe();
    await vi.waitFor(() => {
      expect(node.presence.connection()).toMatchObject({
        reason: expect.stringContaining('not open') as string,
      });
    });
  });

  it('goes on with what it has while auth is away, and catches up when it is back', async () => {
    const identity = await identityOf(auth, 'Node');
    const node = later(clientOf([auth.address()], identity, { silentMs: 3_000 }));
    const users = later(await openView(usersView, node.state));
    const admin = await clientAs('Admin');
    await users.reached((await createUser(admin, 'alice')).position);
    expect(node.state.connection()).toEqual({ status: 'connected' });
    const { port } = auth.address();
    await auth.stop();
    await vi.waitFor(() => {
      expect(node.state.connection().status).toBe('away');
    });
    expect(findUser(users.state(), 'alice')).toBeDefined();
    await expect(node.call(readAuthPreference, {})).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^no auth server answers: 127\.0\.0\.1:\d+: .*ECONNREFUSED/) as string,
    });
    auth = await startAuth({ log: auth.log, port });
    const { position } = await createUser(await clientAs('Admin'), 'bob');
    await users.reached(position);
    expect(findUser(users.state(), 'bob')).toBeDefined();
    expect(node.state.connection()).toEqual({ status: 'connected' });
  });

  it('starts from what the server holds now, with nothing a node may not see', async () => {
    const admin = await clientAs('Admin');
    const { position } = await createUser(admin, 'alice');
    const ids = { Node: randomUUID(), Proxy: randomUUID() };
    for (const role of ['Node', 'Proxy'] as const) {
      const host = hostInfo(ids[role], role);
      await (await clientAs(role, ids[role])).call(heartbeat, { host, ttlSeconds: 60 });
    }
    const node = await clientAs('Node');
    const ofHosts = JSON.stringify(await node.state.snapshot(hostsView.name));
    expect([ofHosts.includes(ids.Proxy), ofHosts.includes(ids.Node)]).toEqual([true, false]);
    const snapshot = await node.state.snapshot(usersView.name);
    expect(snapshot?.position).toBeGreaterThanOrEqual(position);
    expect(JSON.stringify(snapshot)).toContain('alice');
    expect(JSON.stringify(snapshot)).not.toMatch(/ciphertext|[0-9a-f]{64}/);
    expect(await node.state.snapshot('invites.2')).toBeUndefined();
  });
});

describe('several auth servers', () => {
  it('fail over within two seconds, when one is gone and when one is mute', async () => {
    const second = await startAuth({ log: auth.log });
    const link = await badLinkTo(auth.address());
    const node = later(
      clientOf([link.address, second.address()], await identityOf(auth, 'Node'), { callTimeoutMs: 1_000 }),
    );
    for (const harm of [() => undefined, link.stall, link.cut]) {
      harm();
      const began = performance.now();
      await node.call(readAuthPreference, {});
      expect(performance.now() - began).toBeLessThan(2_000);
    }
    await link.close();
    await node.call(readAuthPreference, {});
    await second.stop();
  });
});

describe('an auth server asked from within its process', () => {
  it('is the one that answers, whoever listens at its address, until it ends', async () => {
    const other = await startAuth({ log: auth.log });
    const hostId = randomUUID();
    const within = { within: () => auth.service.connectWithin(), callTimeoutMs: 1_000 };
    const proxy = later(clientOf([other.address()], await identityOf(auth, 'Proxy', hostId), within));
    const answeredBy = (one: AuthBench): number =>
      one.sink.lines.filter((line) => line.includes('was carried out')).length;
    const hosts = later(await openView(hostsView, proxy.state));
    const info = { ...hostInfo(hostId, 'Proxy'), address: '0.0.0.0:3023' };
    await proxy.call(heartbeat, { host: info, ttlSeconds: 60 });
    await vi.waitFor(() => {
      expect(hostsInRole(hosts.state(), 'Proxy')[0]?.reachability).toEqual({
        status: 'direct',
        address: '127.0.0.1:3023',
      });
    });
    expect([answeredBy(auth), answeredBy(other)]).toEqual([1, 0]);
    await auth.stop();
    await proxy.call(heartbeat, { host: info, ttlSeconds: 60 });
    await vi.waitFor(() => {
      expect(proxy.state.connection()).toEqual({ status: 'connected' });
    });
    expect([answeredBy(auth), answeredBy(other)]).toEqual([1, 1]);
    await other.stop();
  });
});

describe('the audit outbox', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'outbox-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });
  const event = (n: number): ParsedAuditEvent =>
    parsedAuditEvent.parse({
      event: 'exec',
      code: 'T3002I',
      uid: randomUUID(),
      time: realWorld.now(),
      ei: 0,
      n,
    });
  const stored = async (): Promise<unknown[]> => {
    const admin = await clientAs('Admin');
    const { events } = await admin.call(searchAudit, {
      from: '2000-01-01T00:00:00.000Z',
      to: '2100-01-01T00:00:00.000Z',
      types: ['exec'],
      limit: 10_000,
    });
    return events.map((one) => one['n']);
  };

  it('delivers every event once over a link that stalls, cuts and loses answers', async () => {
    const link = await badLinkTo(auth.address());
    const identity: Material = await identityOf(auth, 'Node');
    const client = later(clientOf([link.address], identity, { callTimeoutMs: 300 }));
    const outbox = await openAuditOutbox({
      directory: join(directory, 's'),
      client,
      sink: recordingSink(),
      world: realWorld,
      maxPending: 500,
    });
    const delivered = () =>
      vi.waitFor(() => {
        expect(outbox.pending()).toBe(0);
      }, 20_000);
    let n = 0;
    for (const harm of [link.stall, link.cut, link.swallowAnswers]) {
      for (const end = n + 30; n < end; n++) await outbox.emit(event(n));
      harm();
      for (const end = n + 30; n < end; n++) await outbox.emit(event(n));
      if (harm !== link.cut)
        await vi.waitFor(() => {
          expect(outbox.trouble()).toContain('audit events wait for the auth server');
        }, 20_000);
      link.cut();
      await delivered();
    }
    expect(((await stored()) as number[]).sort((a, b) => a - b)).toEqual(
      Array.from({ length: n }, (_, i) => i),
    );
    expect(outbox.trouble()).toBeUndefined();
    await outbox.close();
    expect(readdirSync(join(directory, 's'))).toEqual([]);
    await link.close();
  });
});
