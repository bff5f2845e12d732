import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instant, plusMs } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import { frame, frameHeader } from '../../src/tunnel/frames.ts';
import { privateKeyPem } from '../../src/pki/key-pair.ts';
import { decodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { forgedHost, type TakenKey, takeKeys } from '../cluster/taken-keys.ts';
import { startAuthFleet } from '../harness/auth-fleet.ts';
import { logIn } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { linkTlsTo, openRawLink, type Shown } from './raw-link.ts';
import { type Front, hangingOn, startTunnelPair, type TunnelFleet } from './tunnel-fleet.ts';

/* What somebody can do to a proxy with a link: without a certificate, with a wrong one, and with a node's. */

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let node: Reloadable;
/** The host authority, in the hands of the attacker: what it signs is as good as what auth signs. */
let key: TakenKey;

const far = (): Promise<{ code: number | null; stdout: string; stderr: string }> =>
  one.people.tsh('alice', ['ssh', `${login}@far1`, 'echo', 'well']);
const nodeIdOf = (): string => readFileSync(join(node.machine.dataDir, 'host_uuid'), 'utf8').trim();
const anode = (hostId?: string): Shown =>
  forgedHost(key, { role: 'Node', ...(hostId && { hostId }), trusts: [] });
const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(`http://${one.proxy.machine.diagAddress()}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text)?.[1] ?? 0);
};
const proxyPid = (): number => one.proxy.main()?.pid ?? 0;
const memoryMiB = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${proxyPid()}/status`, 'utf8'))?.[1] ?? 0) / 1024;
const cpuTicks = (): number => {
  const [, , , , , , , , , , , user = '0', system = '0'] = readFileSync(`/proc/${proxyPid()}/stat`, 'utf8')
    .replace(/^.*\) /, '- - ')
    .split(' ')
    .map(String);
  return Number(user) + Number(system);
};

beforeAll(async () => {
  ({ fleet, one, node } = await startTunnelPair());
  const { auth, authPort } = fleet.cluster;
  const keys = await takeKeys({ auths: [auth], servers: [{ host: '127.0.0.1', port: authPort }] });
  const [host] = keys.host;
  if (host === undefined) throw new Error('a host authority');
  key = host;
});
afterAll(async () => {
  await fleet.close();
});

/** What the proxy says before it closes the link. */
async function refusal(shown?: Shown): Promise<unknown> {
  const { link, said } = await openRawLink(one.ports.web, shown);
  await link.closed;
  return said[0];
}

describe('a link is refused', () => {
  const notValid = { refused: 'access denied: the certificate is not valid here' };

  it('without a certificate, with one of another cluster, of a user, and one that has expired', async () => {
    const before = await metric('proxy_tunnels_refused_total');
    expect(await refusal()).toEqual({ refused: expect.stringContaining('needs the certificate') as string });
    const other = await startAuthFleet();
    try {
      const [foreign] = (
        await takeKeys({ auths: [other.auth], servers: [{ host: '127.0.0.1', port: other.authPort }] })
      ).host;
      if (foreign === undefined) throw new Error('another authority');
      for (const role of ['Node', 'Proxy'] as const)
        expect(await refusal(forgedHost(foreign, { role, hostId: nodeIdOf(), trusts: [] }))).toEqual(
          notValid,
        );
    } finally {
      await other.fleet.close();
    }
    const since = instant.parse(plusMs(realWorld.now(), -2 * 3600_000));
    expect(await refusal(forgedHost(key, { role: 'Node', since, trusts: [] }))).toEqual(notValid);
    const folder = join(one.people.env('alice')['TSH_HOME'] ?? '', 'keys', 'localhost');
    const user = {
      privateKeyPem: privateKeyPem(decodeOpensshPrivateKey(readFileSync(join(folder, 'alice'), 'utf8'))),
      tlsCertificatePem: readFileSync(join(folder, 'alice-x509.pem'), 'utf8'),
    };
    expect(await refusal(user)).toEqual(notValid);
    expect(await metric('proxy_tunnels_refused_total')).toBe(before + 5);
    expect(await metric('proxy_tunnels')).toBe(1);
  });

  it('as a peer, from whoever is no proxy that the cluster knows', async () => {
    expect(await refusal(forgedHost(key, { role: 'Proxy', trusts: [] }))).toEqual({
      refused: expect.stringContaining('has no place') as string,
    });
  });
});

describe('a node on its link', () => {
  it('is opened neither another node, nor itself, nor what is no wish', async () => {
    const { link, open } = await openRawLink(one.ports.web, anode());
    for (const wish of [
      { to: 'node', hostId: nodeIdOf() },
      { to: 'own-node' },
      { to: 'node', hostId: '../x' },
      { to: 'auth', hostId: 7, more: 'x'.repeat(4000) },
      'rubbish',
      null,
      [],
    ]) {
      const got = open(wish);
      if (typeof wish === 'object' && wish !== null && 'to' in wish && wish.to === 'auth')
        (await got).destroy();
      else await expect(got).rejects.toThrow(/is not opened for a machine|does not know what/);
    }
    expect(link.usable).toBe(true);
    link.close('done');
  });

  it('gets nothing from auth by rubbish', async () => {
    const { link, open } = await openRawLink(one.ports.web, anode());
    const stream = await open({ to: 'auth' });
    let got = '';
    stream.on('error', () => undefined).on('data', (data: Buffer) => (got += data.toString('latin1')));
    stream.end('GET / HTTP/1.1\r\n\r\n');
    await new Promise((closed) => stream.once('close', closed));
    expect(got).not.toContain('HTTP');
    link.close('done');
  });

  it('has at most 4096 streams, and takes nobody else down with them', async () => {
    const { link, open } = await openRawLink(one.ports.web, anode());
    const tries = await Promise.allSettled(
      Array.from({ length: 5000 }, () => open({ to: 'node', hostId: nodeIdOf() })),
    );
    expect(tries.every(({ status }) => status === 'rejected')).toBe(true);
    const auths = Promise.allSettled(Array.from({ length: 5000 }, () => open({ to: 'auth' })));
    expect(await far()).toMatchObject({ code: 0, stdout: 'well\n' });
    link.close('done');
    await auths;
    expect(await far()).toMatchObject({ code: 0, stdout: 'well\n' });
    await logIn(one.people, 'alice');
  });

  it.each([
    ['noise', Buffer.alloc(64 * 1024, 0xfe)],
    ['a frame too large', frameHeader('notice', 0, 0xffff_ffff)],
    ['streams of the other end', frame('open', 2, Buffer.from('{"to":"auth"}'))],
    ['stream 0', frame('open', 0, Buffer.from('{"to":"auth"}'))],
  ])('is cut off for %s', async (_name, bytes) => {
    const socket = await linkTlsTo(one.ports.web, anode());
    socket.resume();
    socket.write(bytes);
    await new Promise((closed) => socket.once('close', closed));
    expect(await far()).toMatchObject({ code: 0 });
  });

  it('costs the proxy neither memory nor time with pings that it does not read', async () => {
    const before = memoryMiB();
    const socket = await linkTlsTo(one.ports.web, anode());
    socket.pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame('ping', 0, Buffer.alloc(8000))));
    const push = (): void => {
      while (!socket.destroyed && socket.write(pings));
    };
    socket.on('drain', push);
    push();
    await closed;
    expect(memoryMiB() - before).toBeLessThan(120);
    const ticks = cpuTicks();
    expect(await far()).toMatchObject({ code: 0 });
    expect(cpuTicks() - ticks).toBeLessThan(300);
  });

  it('is warned of when its key is used on a second machine', async () => {
    const twin = await openRawLink(one.ports.web, anode(nodeIdOf()), '127.0.0.7');
    const line = await one.proxy.machine.says('a node hangs here from two addresses');
    expect(line).toContain('127.0.0.7');
    expect(line).toContain(nodeIdOf());
    twin.link.close('done');
    await until('people to reach the node itself', async () => ((await far()).code === 0 ? true : undefined));
  });
});

describe('a lock', () => {
  const lock = async (...args: string[]): Promise<() => Promise<void>> => {
    const made = await one.people.tctl('lock', ...args, '--message=stolen', '--ttl=1h');
    expect(made).toMatchObject({ code: 0 });
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(made.stdout)?.[0] ?? '';
    return async () => {
      expect(await one.people.tctl('unlock', id)).toMatchObject({ code: 0 });
    };
  };

  it.each(['id', 'name', 'serial'])(
    'of a node by its %s cuts its link; the node says why, and comes back after it',
    async (kind) => {
      const identity = JSON.parse(
        readFileSync(join(node.machine.dataDir, 'proc', 'node.identity.json'), 'utf8'),
      ) as Record<string, string>;
      const pem = Object.values(identity).find((text) => text.startsWith('-----BEGIN CERTIFICATE')) ?? '';
      const serial = String(BigInt(`0x${new X509Certificate(pem).serialNumber}`));
      const target =
        { id: `--node=${nodeIdOf()}`, name: '--node=far1', serial: `--serial=${serial}` }[kind] ?? '';
      const before = node.machine.allOutput().length;
      const unlock = await lock(target);
      await until('the link to be cut', async () =>
        (await fleet.hangsOn(node.machine)).size === 0 ? true : undefined,
      );
      expect((await far()).code).not.toBe(0);
      await until('the node to say why', () =>
        /the proxy refused it.*stolen/.test(node.machine.allOutput().slice(before)) ? true : undefined,
      );
      await unlock();
      await hangingOn(fleet, node, [one]);
      await until('people to reach it', async () => ((await far()).code === 0 ? true : undefined));
    },
  );
});
