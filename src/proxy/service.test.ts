import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { Service } from '../base/service.ts';
import { userStream } from '../domain/streams.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import type { SshClient } from '../ssh/client-types.ts';
import { recordedAt } from '../views/testing.ts';
import {
  aliceCreated,
  begin,
  bench,
  getPing,
  hostId,
  identityOf,
  logIn,
  place,
  tellCluster,
} from './service-testing.ts';

describe('a proxy that starts', () => {
  it('waits for auth, and says for what', async () => {
    const one = bench();
    const starting = one.service.start();
    await turn();
    const waitsFor = (): string | undefined => (one.service as Required<Service>).waitsFor();
    one.link.away = 'nothing listens there';
    expect(waitsFor()).toContain('auth is away (nothing listens there)');
    one.link.away = undefined;
    expect(waitsFor()).toBeUndefined();
    expect(one.servers.size).toBe(0);
    tellCluster(one);
    const running = await starting;
    expect(waitsFor()).toBeUndefined();
    await running.stop(0);
  });

  it('listens for SSH and for the web, and announces where it is reached', async () => {
    const one = await begin();
    expect([...one.servers].map(([name, { address }]) => [name, address.port])).toEqual([
      ['proxy:ssh', 0],
      ['proxy:web', 1],
    ]);
    const [said] = one.calls.asked;
    expect(said).toMatchObject({
      name: 'host.heartbeat',
      input: {
        host: {
          ...{ hostId, role: 'Proxy', nodename: 'proxy-1', address: '10.0.0.2:3080' },
          ...{ publicAddress: 'proxy.example.com:3080', sshPublicAddress: 'ssh.example.com:3023' },
        },
      },
    });
  });

  it('leaves nothing behind when it cannot listen', async () => {
    for (const taken of ['proxy:ssh', 'proxy:web']) {
      const one = bench({ taken });
      const starting = one.service.start();
      const failed = expect(starting).rejects.toThrow(`${taken} is taken`);
      await turn();
      tellCluster(one);
      await failed;
      expect([one.state.readers.size, one.presence.readers.size]).toEqual([0, 0]);
      expect(one.calls.asked).toEqual([]);
    }
  });

  it('refuses certificate files that are not there, naming them, unless it speaks no TLS', async () => {
    const files = [{ keyFile: '/nonexistent/key.pem', certificateFile: '/nonexistent/cert.pem' }];
    const wrong = bench({ config: { web: { speaks: 'tls', directory: place.directory, files } } });
    await expect(wrong.service.start()).rejects.toThrow('/nonexistent/key.pem');
    const { running } = await begin({
      config: { web: { speaks: 'plain', directory: place.directory, files } },
    });
    expect(running.condition()).toMatchObject({ status: 'serving' });
  });
});

const announced = { at: '2026-01-01T00:00:00.000Z', announcement: { text: '', signatures: [] } };

describe('a proxy', () => {
  it('tells clients on the web port where SSH is', async () => {
    const one = await begin();
    expect(await getPing(one)).toMatchObject({
      auth: { second_factor: 'otp' },
      proxy: {
        ssh: {
          listen_addr: '0.0.0.0:3023',
          public_addr: 'proxy.example.com:3080',
          ssh_public_addr: 'ssh.example.com:3023',
        },
      },
    });
  });

  it('lets a user of the cluster in over SSH, until that user is deleted', async () => {
    const one = await begin();
    const alice = await logIn(one, 'alice');
    expect(one.running.diagnostics?.()).toEqual({
      ...{ sshConnections: 1, carriedStreams: 0, auditWaiting: 3, auth: 'connected' },
      ...{ tunnels: 0, peersHere: 0, peersLinked: 0, leaves: [], roots: {} },
    });
    // What does not concern alice cuts nobody off.
    one.state.tell(
      recordedAt(5, userStream('bob'), { ...aliceCreated, data: { ...aliceCreated.data, username: 'bob' } }),
    );
    await turn();
    expect(one.running.diagnostics?.()).toMatchObject({ sshConnections: 1 });
    one.state.tell(recordedAt(6, userStream('alice'), { type: 'user.deleted', data: { username: 'alice' } }));
    expect((await alice.closed)?.message).toContain('user "alice" has been deleted');
    expect(one.told.map(({ event, user }) => [event, user])).toContainEqual(['client.disconnect', 'alice']);
    await vi.waitFor(() => {
      expect(one.running.diagnostics?.()).toMatchObject({ sshConnections: 0 });
    });
  });

  it('refuses who is no user, and whose certificate is of another authority, and reports both', async () => {
    const one = await begin();
    await expect(logIn(one, 'mallory')).rejects.toMatchObject({ code: 'access_denied' });
    await expect(logIn(one, 'alice', generateEd25519())).rejects.toMatchObject({ code: 'access_denied' });
    expect(one.told.map(({ event, success }) => [event, success])).toEqual([
      ['auth', false],
      ['auth', false],
    ]);
  });

  it('shows new clients the newest certificate of its own', async () => {
    const one = await begin();
    const keyOf = (client: SshClient): string | undefined => client.hostCertificate?.key.blob.toString('hex');
    const before = await logIn(one, 'alice');
    const next = identityOf();
    one.identity.replace({ client: next, server: next });
    const after = await logIn(one, 'alice');
    expect(keyOf(after)).not.toBe(keyOf(before));
    before.close();
    after.close();
  });

  it('tells auth what it has adopted of a rotation when its certificates change, and when the cluster does', async () => {
    const adopted = { marks: ['', ''] as [string, string] };
    const one = await begin({ adopted: () => adopted.marks });
    const told = (): unknown => (one.calls.asked.at(-1)?.input as { readonly adopted?: unknown }).adopted;
    const next = identityOf();
    adopted.marks = ['', '12345678:init'];
    one.identity.replace({ client: next, server: next });
    await vi.waitFor(() => {
      expect(told()).toEqual(adopted.marks);
    });
    adopted.marks = ['12345678:init', '12345678:init'];
    one.state.tell(recordedAt(5, 'authority-user', { type: 'authority.announced', data: announced }));
    await vi.waitFor(() => {
      expect(told()).toEqual(adopted.marks);
    });
  });

  it('says what it lacks while auth is away', async () => {
    const one = await begin();
    one.link.away = 'refused';
    expect(one.running.condition()).toMatchObject({ status: 'degraded' });
    expect(one.running.diagnostics?.()).toMatchObject({ auth: 'away' });
  });
});

describe('a proxy that stops', () => {
  it('follows nothing any more, and lets nobody in', async () => {
    const one = await begin();
    const client = await logIn(one, 'alice');
    await one.running.stop(0);
    await one.running.done;
    expect((await client.closed)?.message).toContain('the server is stopping');
    expect([one.state.readers.size, one.presence.readers.size]).toEqual([0, 0]);
    await expect(logIn(one, 'alice')).rejects.toThrow();
  });

  it('says that it leaves, unless another process succeeds it, and renews no presence after that', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    for (const [succession, farewells] of [
      ['none', [true]],
      ['succeeded', []],
    ] as const) {
      const one = await begin();
      const before = one.calls.asked.length;
      await one.running.stop(0, succession);
      await vi.advanceTimersByTimeAsync(10 * 60_000);
      const said = one.calls.asked.slice(before).map(({ input }) => input as { readonly leaving?: boolean });
      expect(said.map(({ leaving }) => leaving)).toEqual(farewells);
      expect(vi.getTimerCount()).toBe(0);
    }
  });
});
