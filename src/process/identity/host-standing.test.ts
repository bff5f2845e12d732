import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pingCluster } from '../../api/operations/cluster.ts';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import type { AuthService } from '../../auth/service.ts';
import { begin } from '../../auth/service-testing.ts';
import type { HostPort } from '../../base/service.ts';
import { CodedError } from '../../base/errors.ts';
import { readConfiguration } from '../configuration/configuration.ts';
import { MetricsRegistry } from '../diagnostics/metrics.ts';
import { Closers } from '../host-service.ts';
import { Turnstile } from '../lifecycle/turnstile.ts';
import type { Parts } from '../parts.ts';
import { testAuthority } from '../testing.ts';
import { joinedStanding, localStanding } from './host-standing.ts';
import { loadIdentity, saveIdentity } from './identity-store.ts';

const authority = vi.hoisted(() => ({
  tryIdentity: (): Promise<unknown> => Promise.resolve({ status: 'admitted' }),
}));
vi.mock('../../api/join-client.ts', async (original) => ({
  ...(await original<object>()),
  tryIdentity: () => authority.tryIdentity(),
}));

const hostId = '00000000-0000-4000-8000-0000000000b7';
let dataDir = '';
let closers: Closers;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'standing-'));
  closers = new Closers();
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(async () => {
  await closers.closeAll();
  vi.restoreAllMocks();
  rmSync(dataDir, { recursive: true });
});

function partsOf(settings = '', world = fakeWorld(new Date().toISOString())) {
  const sink = recordingSink();
  const waits: [string, string | undefined][] = [];
  const metrics = new MetricsRegistry();
  const yaml = `teleport: {data_dir: ${dataDir}, nodename: one, log: {output: stderr}${settings}}`;
  const components: string[] = [];
  const parts = {
    configuration: readConfiguration({ configString: Buffer.from(yaml).toString('base64') }, {}),
    logger: (component: string) => {
      components.push(component);
      return sink;
    },
    waitsFor: (role: string, text: string | undefined) => waits.push([role, text]),
    ...{ world, metrics, hostId, turnstile: new Turnstile() },
  } as unknown as Parts;
  return { parts, sink, waits, metrics, components };
}

describe('a role beside the auth service of its process', () => {
  const own = { host: '0.0.0.0', port: 3025 };
  async function stand(settings = '', role: 'Proxy' | 'Node' = 'Node', address: HostPort = own) {
    const { service, running, world } = await begin();
    const auth: AuthService = { ...service, listenAddress: () => address };
    const made = partsOf(settings, world);
    const standing = await localStanding(made.parts, auth, { role, names: ['web.example.com'], closers });
    closers.add(() => running.stop(0));
    return { ...made, standing, auth };
  }

  it('is certified by it at once, keeps that, and speaks to it without a socket', async () => {
    const { standing } = await stand();
    expect(standing.identity.current()).toMatchObject({
      ...{ hostId, role: 'Node', clusterName: 'example' },
      askedNames: ['one', 'web.example.com'],
    });
    expect(loadIdentity(dataDir, 'Node', hostId)?.tlsCertificatePem).toBe(
      standing.identity.current().tlsCertificatePem,
    );
    // Nothing listens at any address: it is answered from within.
    expect((await standing.auth.call(pingCluster, {})).clusterName).toBe('example');
    expect(standing.renewalTrouble()).toBeUndefined();
  });

  it('asks the other auth servers that the file lists when it cannot serve, and each once', async () => {
    const listed = ', auth_servers: ["127.0.0.1:3025", "10.0.0.2:3025"]';
    const { standing } = await stand(listed);
    expect(standing.authServers).toEqual([
      { host: '127.0.0.1', port: 3025 },
      { host: '10.0.0.2', port: 3025 },
    ]);
  });

  it('asks nobody else where the file lists none', async () => {
    const { standing } = await stand('', 'Node', { host: '10.0.0.7', port: 1 });
    expect(standing.authServers).toEqual([{ host: '10.0.0.7', port: 1 }]);
  });

  it.each(['Node', 'Proxy'] as const)(
    'keeps what %s records in a folder of its own, and says whether the disk refuses',
    async (role) => {
      const { standing, metrics, components } = await stand('', role);
      expect(existsSync(join(dataDir, 'log', 'upload', role.toLowerCase()))).toBe(true);
      expect(metrics.render()).toContain(`audit_spool_disk_refuses{role="${role.toLowerCase()}"} 0`);
      vi.spyOn(standing.outbox, 'disk').mockReturnValue({ status: 'refusing' } as ReturnType<
        typeof standing.outbox.disk
      >);
      expect(metrics.render()).toContain(`audit_spool_disk_refuses{role="${role.toLowerCase()}"} 1`);
      expect(new Set(components)).toEqual(new Set([role.toLowerCase()]));
    },
  );

  it('is closed by whoever opened it: then it calls nobody', async () => {
    const { standing } = await stand();
    await closers.closeAll();
    await expect(standing.auth.call(pingCluster, {})).rejects.toThrow();
  });

  it('tells how far it follows the rotations of what was asked about', async () => {
    const { standing, auth } = await stand();
    await vi.waitFor(() => {
      expect(auth.authorities().state().host.state.status).not.toBe('absent');
    });
    const [user, host] = standing.adopted(auth.authorities().state());
    expect([user, host]).not.toContain(undefined);
    standing.onSpread(60_000);
  });
});

describe('a role whose auth servers are elsewhere', () => {
  const example = testAuthority('example', new Date().toISOString());
  const joining = ', auth_servers: ["127.0.0.1:1"], auth_token: t0ken';
  const stand = (made: ReturnType<typeof partsOf>, stopping = new AbortController().signal) =>
    joinedStanding(made.parts, { role: 'Proxy', names: ['web.example.com'], closers, stopping });

  it('stands on the identity that it has, and says which names that lacks', async () => {
    const identity = example.issue({ hostId, role: 'Proxy', names: ['one'] });
    saveIdentity(dataDir, identity);
    const made = partsOf(joining);
    const standing = await stand(made);
    expect(standing.identity.current().tlsCertificatePem).toBe(identity.tlsCertificatePem);
    expect(standing.authServers).toEqual([{ host: '127.0.0.1', port: 1 }]);
    expect(made.sink.lines.join('\n')).toMatch(/lacks: .*web\.example\.com/);
  });

  it('waits to join by its own name, and gives up when it is stopped', async () => {
    const made = partsOf(joining);
    const stopping = new AbortController();
    const standing = stand(made, stopping.signal);
    standing.catch(() => undefined);
    await vi.waitFor(() => {
      expect(made.waits.at(-1)?.[1]).toContain('Proxy failed to establish connection to cluster');
    });
    expect(made.waits.at(-1)?.[0]).toBe('proxy');
    expect(made.sink.lines.join('\n')).toContain('without validating the identity of the Auth Server');
    stopping.abort();
    await expect(standing).rejects.toBeInstanceOf(CodedError);
    expect(existsSync(join(dataDir, 'log', 'upload', 'proxy'))).toBe(false);
  });

  it('does not join while another process may come to serve in its place', async () => {
    const made = partsOf(joining);
    made.parts.turnstile.close();
    const stopping = new AbortController();
    const standing = stand(made, stopping.signal);
    standing.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    stopping.abort();
    await expect(standing).rejects.toThrow('stopped before it joined a cluster');
    expect(made.sink.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });
});
