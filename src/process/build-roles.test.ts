import { describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingMetrics, recordingSink } from '../api/testing.ts';
import { replaceableIdentity } from '../pki/current-identity.ts';
import { buildNode } from './build-node.ts';
import { buildProxy } from './build-proxy.ts';
import { readConfiguration } from './configuration/configuration.ts';
import type { Standing, StandingOf } from './identity/host-standing.ts';
import type { Parts } from './parts.ts';
import { testAuthority } from './testing.ts';

vi.mock('../node/service.ts', () => ({ createNodeService: (deps: unknown) => deps }));
vi.mock('../proxy/service.ts', () => ({ createProxyService: (deps: unknown) => deps }));

const hostId = '11111111-2222-4333-8444-555555555555';
const world = fakeWorld();
const identity = replaceableIdentity(
  testAuthority('example', world.now()).issue({ hostId, role: 'Node', names: [] }),
);
const authServers = [{ host: '10.0.0.9', port: 3025 }];

/** What a role is made of, and which names it asked for. */
async function build(yaml: string, make: typeof buildNode) {
  const asked: { role: string; names: readonly string[] }[] = [];
  const sink = recordingSink();
  const components: string[] = [];
  const parts = {
    configuration: readConfiguration({ configString: Buffer.from(yaml).toString('base64') }, {}),
    ...{ world, hostId, metrics: recordingMetrics(), lookUpName: vi.fn(), programPath: ['own'] },
    logger: (component: string) => {
      components.push(component);
      return sink;
    },
  } as unknown as Parts;
  const standingOf: StandingOf = (role, names) => {
    asked.push({ role, names });
    return Promise.resolve({ identity, authServers } as unknown as Standing);
  };
  const made = (await make(parts, standingOf)) as unknown as { config: Record<string, unknown> };
  return { made, asked, components, parts };
}
const teleport = 'teleport: {nodename: one, advertise_ip: 192.0.2.7, data_dir: /d}\n';

describe('a node', () => {
  it('has itself certified for each name by which it is reached, once', async () => {
    const { asked } = await build(
      `${teleport}ssh_service: {public_addr: ["ssh.example.com:22", "one:22"]}`,
      buildNode,
    );
    expect(asked).toEqual([{ role: 'Node', names: ['one', hostId, '192.0.2.7', 'ssh.example.com'] }]);
  });

  it('is made of what the file says, on what it stands on', async () => {
    const { made, components, parts } = await build(
      `${teleport}ssh_service: {public_addr: ["ssh.example.com:22"], labels: {a: b}, listen_addr: 10.0.0.1:22}`,
      buildNode,
    );
    expect(made).toMatchObject({
      ...{ identity, world, metrics: parts.metrics, lookUpName: parts.lookUpName },
      config: {
        ...{ hostId, nodename: 'one', clusterName: 'example', labels: { a: 'b' }, programPath: ['own'] },
        listenAddress: { host: '10.0.0.1', port: 22 },
        publicAddresses: ['ssh.example.com:22'],
        permitUserEnvironment: false,
      },
    });
    expect((made.config['advertiseIp'] as () => string)()).toBe('192.0.2.7');
    expect(components).toEqual(['node']);
  });
});

describe('a proxy', () => {
  const pair = 'https_key_file: /k, https_cert_file: /c';

  it('has itself certified for each name by which it is reached, and for this machine', async () => {
    const { asked } = await build(
      `${teleport}proxy_service: {public_addr: ["web.example.com:443"], ssh_public_addr: ["ssh.example.com:22"]}`,
      buildProxy,
    );
    expect(asked).toEqual([
      {
        role: 'Proxy',
        names: ['one', '192.0.2.7', 'localhost', '127.0.0.1', '::1', 'web.example.com', 'ssh.example.com'],
      },
    ]);
  });

  it('is made of what the file says, on what it stands on', async () => {
    const { made, components } = await build(
      `${teleport}proxy_service: {public_addr: ["web.example.com:443"], ssh_public_addr: ["ssh.example.com:22"], ${pair}, ` +
        'https_keypairs: [{key_file: /k2, cert_file: /c2}]}',
      buildProxy,
    );
    expect(made).toMatchObject({
      identity,
      config: {
        ...{ hostId, nodename: 'one', clusterName: 'example', authServers },
        publicAddresses: ['web.example.com:443'],
        sshPublicAddresses: ['ssh.example.com:22'],
        web: {
          speaks: 'tls',
          directory: '/d',
          files: [
            { keyFile: '/k', certificateFile: '/c' },
            { keyFile: '/k2', certificateFile: '/c2' },
          ],
        },
      },
    });
    expect(made).not.toHaveProperty('authServers');
    expect(components).toEqual(['proxy']);
  });

  it('shows a certificate of its own where the file names none', async () => {
    const { made } = await build(teleport, buildProxy);
    expect(made.config['web']).toMatchObject({ files: [] });
  });

  it.each(['https_key_file: /k', 'https_cert_file: /c'])('refuses half a pair: %s', async (half) => {
    await expect(build(`${teleport}proxy_service: {${half}}`, buildProxy)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('https_key_file and https_cert_file') as string,
    });
  });
});
