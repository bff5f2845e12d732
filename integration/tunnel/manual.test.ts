import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser } from '../harness/people.ts';
import { startTunnelFleet, type TunnelFleet } from './tunnel-fleet.ts';

const manual = readFileSync('docs/tunnels.md', 'utf8');
let fleet: TunnelFleet;
let node: Machine;

/** The blocks of the page with this first line. */
function block(head: string): string {
  const found = manual.split(`\`\`\`${head}\n`)[1]?.split('\n```')[0];
  if (found === undefined) throw new Error(`docs/tunnels.md has no block ${head}`);
  return `${found}\n`;
}

beforeAll(async () => {
  fleet = await startTunnelFleet(1);
  node = await fleet.cluster.fleet.add('far1');
  const { cluster, fronts } = fleet;
  const secret = join(cluster.fleet.dir, 'token');
  writeFileSync(secret, `${tokens.node}\n`, { mode: 0o600 });
  node.configure(
    block('yaml far1 /etc/teleport.yaml')
      .replace('/var/lib/teleport-token', secret)
      .replace('data_dir: /var/lib/teleport', `data_dir: ${node.dataDir}`)
      .replace('proxy.example.com:3080', `127.0.0.1:${fronts[0]?.ports.web ?? 0}`)
      .replace('sha256:…', await cluster.pin()),
  );
  await node.start();
});
afterAll(async () => {
  await node.stop();
  await fleet.close();
});

describe('docs/tunnels.md', () => {
  it('sets up a node that people reach', async () => {
    const people = fleet.fronts[0]?.people;
    if (people === undefined) throw new Error('a proxy');
    await createFirstUser(people, 'alice', { logins: ['root'] });
    const lines = block('sh alice').trim().split('\n');
    const ran = [];
    for (const line of lines) ran.push(await people.tsh('alice', line.split(' ').slice(1)));
    expect(ran.map(({ code }) => code)).toEqual([0, 0]);
    expect(ran[0]?.stdout).toMatch(/^far1 +⟵ Tunnel +place=far *$/m);
    const shown = await people.tctl('get', 'nodes');
    expect(shown.stdout).toContain(fleet.fronts[0]?.hostId());
  });

  it('names settings that auth servers take, and metrics that there are', async () => {
    const { auth } = fleet.cluster;
    await auth.stop();
    auth.configure(fleet.cluster.authYaml().replace('auth_service:\n', block('yaml auth1 tunnel_strategy')));
    await auth.start();
    for (const [machine, role] of [
      [fleet.fronts[0]?.proxy.machine, 'proxy'],
      [node, 'node'],
    ] as const) {
      const metrics = await (await fetch(`http://${machine?.diagAddress() ?? ''}/metrics`)).text();
      const named = [...manual.matchAll(/`(\w+_tunnels\w*)/g)].map(([, name = '']) => name);
      for (const name of named.filter((one) => one.startsWith(role))) expect(metrics).toContain(name);
    }
  });

  it('quotes what the node logs', () => {
    const [, way = '', open = ''] = [...manual.matchAll(/`(a (?:way|tunnel) [^`…]+)`/g)].map(
      ([, text]) => text,
    );
    for (const text of [way, open]) expect(node.allOutput()).toContain(text);
  });
});

describe('tctl doctor', () => {
  const doctor = (port: number, ...more: string[]) =>
    fleet.cluster.fleet.tctl(fleet.cluster.auth, 'doctor', `127.0.0.1:${port}`, ...more);

  it('shows each way that somebody may take, and what to change', async () => {
    const seen = await doctor(fleet.fronts[0]?.ports.web ?? 0);
    expect(seen.code).toBe(1);
    expect(seen.stdout).toMatch(
      /^a browser\n {2}fails {2}https:.*\n {2}=> the certificate is not one that this machine trusts/m,
    );
    expect(seen.stdout).toMatch(/^tsh and ssh\n {2}works {2}localhost:\d+: SSH/m);
    expect(seen.stdout).toMatch(/^a node\n {2}works {2}.*: an auth server answers through it/m);
    expect(seen.stdout).not.toMatch(/open the (SSH|tunnel) port/);
  });

  it('says so where no proxy is', async () => {
    const { authPort } = fleet.cluster;
    expect(await doctor(authPort)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('=> nothing that is a proxy answers there') as string,
    });
    expect(await doctor(1)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('127.0.0.1:1 is not reached from here: connect ECONNREFUSED') as string,
    });
    const { findings } = JSON.parse((await doctor(authPort, '--format=json')).stdout) as {
      findings: unknown[];
    };
    expect(findings).toHaveLength(1);
  });
});
