import { merge, Subject } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { pingCluster, readClusterStatus } from '../api/operations/cluster.ts';
import { listHosts } from '../api/operations/host.ts';
import { deleteUser, listUsers } from '../api/operations/user.ts';
import { fakeWorld } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import { hostStream } from '../domain/streams.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Followed } from '../log/event.ts';
import { memoryLog } from '../log/memory-log.ts';
import { generateEd25519, privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { guardedLog } from './log/guarded-log.ts';
import { begin, bench, clientAs, clientFor, fakeTimers, hostId, type Identity } from './service-testing.ts';
import { addUser, authHostId, codeFor, openTestAuth, tryLogin } from './testing.ts';

describe('an auth service before it has started', () => {
  it('certifies nobody, is nowhere, and takes no connection', async () => {
    const { service, log } = bench();
    const wanted = { hostId, nodename: 'one', role: 'Proxy', additionalPrincipals: [] } as const;
    await expect(service.issueHostIdentity(wanted)).rejects.toMatchObject({ code: 'unavailable' });
    expect(() => service.listenAddress()).toThrow('the auth service has not started');
    expect(() => service.connectWithin()).toThrow('the auth service has not started');
    await log.close();
  });

  it('leaves nothing running when it cannot listen', async () => {
    fakeTimers();
    const { service, log } = bench({
      listen: () => Promise.reject(new CodedError('misconfigured', 'the port is taken')),
    });
    await expect(service.start()).rejects.toThrow('the port is taken');
    expect(() => service.connectWithin()).toThrow('has not started');
    await log.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an auth service', () => {
  it('listens where it was told, and serves who has a certificate of the cluster', async () => {
    const one = await begin();
    expect(one.listening).toEqual([{ name: 'auth', address: { host: '10.0.0.1', port: 0 } }]);
    expect(one.service.listenAddress()).toEqual({ host: '10.0.0.1', port: 3025 });
    const client = await clientAs(one, 'Admin');
    expect((await client.call(readClusterStatus, {})).clusterName).toBe('example');
    const { hosts } = await client.call(listHosts, { role: 'Auth', labels: {} });
    expect(hosts).toEqual([
      expect.objectContaining({ hostId: authHostId, address: 'auth.example.com:3025' }),
    ]);
    expect(one.recognised.length).toBeGreaterThan(0);
    await one.running.stop(0);
  });

  it('does not take for known who has no certificate', async () => {
    const one = await begin();
    const { tlsCasPem } = await one.service.issueHostIdentity({
      ...{ hostId, nodename: 'one', role: 'Proxy', additionalPrincipals: [] },
    });
    const identity = { tlsCasPem } as unknown as Exclude<Identity, { current: unknown }>;
    const client = clientFor(one, identity);
    expect((await client.call(pingCluster, {})).clusterName).toBe('example');
    await expect(client.call(listUsers, {})).rejects.toMatchObject({ code: 'access_denied' });
    expect(one.recognised).toEqual([]);
    await one.running.stop(0);
  });

  it('knows a user by the certificate of a login, and by what is true of that user now', async () => {
    const world = fakeWorld(new Date().toISOString());
    const log = memoryLog({ world });
    const before = await openTestAuth({ world, log });
    const otpUrl = await addUser(before, 'alice', 'correct horse battery');
    // A certificate that begins before it is made is good at once, by the clock of TLS.
    const key = generateEd25519();
    const login = await tryLogin(before, {
      ...{ username: 'alice', password: 'correct horse battery', otp: codeFor(otpUrl, world.now()) },
      publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
    });
    await before.close();
    const one = await begin({ world, log });
    const alice = clientFor(one, {
      privateKeyPem: privateKeyPem(key),
      tlsCertificatePem: login.tlsCertificatePem,
      tlsCasPem: (
        await one.service.issueHostIdentity({
          ...{ hostId, nodename: 'one', role: 'Proxy', additionalPrincipals: [] },
        })
      ).tlsCasPem,
    });
    const wanted = { role: 'Auth', labels: {} } as const;
    expect((await alice.call(listHosts, wanted)).hosts).toHaveLength(1);
    await expect(alice.call(listUsers, {})).rejects.toThrow(
      'access denied to perform action "list" on "user"',
    );
    await (await clientAs(one, 'Admin')).call(deleteUser, { username: 'alice' });
    await expect(alice.call(listHosts, wanted)).rejects.toMatchObject({ code: 'access_denied' });
    await one.running.stop(0);
  });

  it('lets others follow what they may see of the log, and nothing of the audit', async () => {
    const one = await begin();
    const client = await clientAs(one, 'Proxy');
    const seen: Followed[] = [];
    const following = client.state.follow(0).subscribe((event) => seen.push(event));
    const presence: Followed[] = [];
    const heard = client.presence.follow(0).subscribe((event) => presence.push(event));
    await vi.waitFor(() => {
      expect(seen.map((event) => 'stream' in event && event.stream)).toContain(hostStream(authHostId));
      expect(presence.length).toBeGreaterThan(0);
    });
    expect(JSON.stringify(seen)).not.toContain('ciphertext');
    following.unsubscribe();
    heard.unsubscribe();
    await one.running.stop(0);
  });

  it('reports how it stands with its store, and which authorities are trusted', async () => {
    const { running } = await begin();
    expect(running.condition()).toMatchObject({ status: 'serving' });
    expect(running.diagnostics?.()).toMatchObject({
      store: expect.any(String) as unknown,
      state: { followers: expect.any(Number) as unknown, waitingAppends: 0 },
      presence: { position: expect.any(Number) as unknown },
      audit: { position: expect.any(Number) as unknown },
      trustedAuthorities: { user: 1, host: 1 },
    });
    await running.stop(0);
  });

  it('breaks when what it knows of the cluster breaks', async () => {
    const world = fakeWorld(new Date().toISOString());
    const plain = guardedLog(memoryLog({ world }), () => undefined);
    const breaks = new Subject<never>();
    const log: ClusterLog = {
      ...plain,
      state: { ...plain.state, follow: (...after) => merge(plain.state.follow(...after), breaks) },
    };
    const { running } = await begin({ world, log });
    breaks.error(new Error('no fold of ours'));
    await expect(running.done).rejects.toThrow('no fold of ours');
    await running.stop(0);
  });

  it('names hosts of which it does not show what a release before stored', async () => {
    const world = fakeWorld(new Date().toISOString());
    const log = memoryLog({ world });
    const cause = { at: world.now(), actor: 'admin', requestId: hostId };
    const host = { hostId, role: 'Node', nodename: 'x\ny', address: '10.0.0.7:3022', publicAddress: '' };
    const joined = {
      type: 'host.joined',
      data: { host: { ...host, sshPublicAddress: '', labels: {}, version: '4.5.0' } },
    };
    await log.state.append([{ stream: hostStream(hostId), expected: 0, facts: [joined] }], cause);
    const { running, sink } = await begin({ world, log });
    const warned = sink.lines.filter((line) => line.includes('a host is shown without a text'));
    expect(warned).toEqual([
      expect.stringContaining(`"hostId":"${hostId}","role":"Node","leftOut":"nodename"`),
    ]);
    await running.stop(0);
  });
});
