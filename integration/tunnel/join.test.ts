import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityTextIn, tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { type Reloadable, reloadable } from '../restart/reloadable.ts';
import { type RecordingRelay, recordingRelay, type RelayOptions } from './recording-relay.ts';
import { type Front, hangingOn, startTunnelFleet, tunnelYaml, type TunnelFleet } from './tunnel-fleet.ts';

/* How a node comes in through a proxy, and what whoever is in between learns of it. */

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let pin: string;
let names = 0;
const relays: RecordingRelay[] = [];

beforeAll(async () => {
  fleet = await startTunnelFleet(1);
  const [first] = fleet.fronts;
  if (first === undefined) throw new Error('a proxy');
  one = first;
  pin = await fleet.cluster.pin();
  // Behind what ends TLS, a proxy takes plain HTTP.
  await one.proxy.end();
  await one.proxy.machine.start({ args: [...one.proxy.args, '--insecure'] });
  await createFirstUser(one.people, 'alice', { logins: [login] });
});
afterAll(async () => {
  await fleet.close();
  for (const relay of relays) await relay.close();
});

async function relayed(options?: RelayOptions): Promise<RecordingRelay> {
  const relay = await recordingRelay(one.ports.web, options);
  relays.push(relay);
  return relay;
}
const webPair = (): { key: string; cert: string } => ({
  key: join(one.proxy.machine.dataDir, 'webproxy_key.pem'),
  cert: join(one.proxy.machine.dataDir, 'webproxy_cert.pem'),
});
/** Not started. @param lines of its `teleport` section. */
async function joiner(place: string, ...lines: string[]): Promise<Machine> {
  const machine = await fleet.cluster.fleet.add(`joins${++names}`);
  machine.configure(tunnelYaml(machine, place, ...lines));
  return machine;
}
const placed = (port: number): string => `auth_servers: [127.0.0.1:${port}]`;
const token = `auth_token: ${tokens.node}`;

async function joined(machine: Machine): Promise<void> {
  await machine.start();
  const ran = await one.people.tsh('alice', ['ssh', `${login}@${machine.name}`, 'echo', 'in']);
  expect(ran).toMatchObject({ code: 0, stdout: 'in\n' });
  await machine.stop();
}

describe('a node that joins through a proxy', () => {
  it('is in by the right pin, at either setting', async () => {
    await joined(await joiner(placed(one.ports.web), token, `ca_pin: "${pin}"`));
    await joined(await joiner(`proxy_server: 127.0.0.1:${one.ports.web}`, token, `ca_pin: "${pin}"`));
  });

  it('is warned when it pins nothing', async () => {
    const machine = await joiner(placed(one.ports.web), token);
    await joined(machine);
    expect(machine.allOutput()).toMatch(/WARN.*pin/i);
  });

  it('sends no token to whoever shows another authority than its pin, and names both', async () => {
    const before = (await fleet.cluster.joinEvents()).length;
    const wrong = `sha256:${'ab'.repeat(32)}`;
    const machine = await joiner(placed(one.ports.web), token, `ca_pin: "${wrong}"`);
    machine.spawn();
    const line = await machine.says(wrong.slice(7));
    expect(line).toContain(pin.slice(7));
    expect((await fleet.cluster.joinEvents()).length).toBe(before);
    await machine.stop();
  });

  it('is refused with a wrong token, and says so', async () => {
    const machine = await joiner(placed(one.ports.web), 'auth_token: not-a-token-here', `ca_pin: "${pin}"`);
    machine.spawn();
    expect(await machine.says(/token/i)).toMatch(/token/i);
    await until('the refusal in the audit', async () =>
      (await fleet.cluster.joinEvents()).find(({ success }) => success === false),
    );
    await machine.stop();
  });

  it('says what answers at an address that is neither an auth server nor a proxy', async () => {
    const web = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((ready) => web.listen(0, '127.0.0.1', ready));
    const { port } = web.address() as AddressInfo;
    const machine = await joiner(placed(port), token, `ca_pin: "${pin}"`);
    machine.spawn();
    await machine.says(`127.0.0.1:${port}`);
    await until('the reason', () => (/(WARN|ERRO).*127\.0\.0\.1/.test(machine.output()) ? true : undefined));
    await machine.stop();
    web.close();
  });
});

describe('behind what ends TLS', () => {
  /** A node that hangs on the proxy through it. */
  async function hanging(relay: RecordingRelay): Promise<Reloadable> {
    const machine = await joiner(`proxy_server: 127.0.0.1:${relay.port}`, token, `ca_pin: "${pin}"`);
    const node = reloadable(machine);
    await machine.start({ args: node.args });
    await hangingOn(fleet, node, [one]);
    return node;
  }

  it('a node joins, hangs and is reached by an upgraded connection, of which the relay can read nothing', async () => {
    const relay = await relayed({ pair: webPair() });
    const node = await hanging(relay);
    const { name } = node.machine;
    const ran = await one.people.tsh('alice', ['ssh', `${login}@${name}`, 'echo', 'secret-words']);
    expect(ran).toMatchObject({ code: 0, stdout: 'secret-words\n' });
    const seen = relay.seen();
    expect(seen).toContain('Upgrade: teleport');
    expect(seen).not.toContain(tokens.node);
    expect(seen).not.toContain('secret-words');
    expect(seen).not.toContain('PRIVATE KEY');
    const { sshCertificate } = JSON.parse(identityTextIn(node.machine, 'node')) as { sshCertificate: string };
    expect(seen).not.toContain(sshCertificate.split(' ')[1]?.slice(0, 40));
    // One that hangs here is no stranger, which would be cut when many come. Whoever asks for the metric is.
    await until('the proxy to have no other stranger', async () => {
      const metrics = await (await fetch(`http://${one.proxy.machine.diagAddress()}/metrics`)).text();
      return /^connections_not_logged_in 1$/m.test(metrics) ? true : undefined;
    });
    await node.end();
  });

  it('it goes on although silent connections are cut, and although bytes are held back', async () => {
    const relay = await relayed({ pair: webPair(), silenceMs: 7_000, holdMs: 100 });
    const node = await hanging(relay);
    const { name } = node.machine;
    const before = relay.connections();
    await delay(9_000); // longer than the relay bears silence, which is what is tested
    expect(await fleet.hangsOn(node.machine)).toEqual(new Set([one.hostId()]));
    expect(relay.connections()).toBe(before);
    const ran = await one.people.tsh('alice', [
      'ssh',
      `${login}@${name}`,
      'head -c 3000000 /dev/zero | wc -c',
    ]);
    expect(ran).toMatchObject({ code: 0, stdout: '3000000\n' });
    await node.end();
  });
});
