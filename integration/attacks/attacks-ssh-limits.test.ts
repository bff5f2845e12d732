import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/base/version.ts';
import { privateKeyFromPem } from '../../src/pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf, signSsh } from '../../src/pki/ssh-key.ts';
import { connectSsh, keyIdentity, type SshClient } from '../../src/ssh/cert-client.ts';
import * as wire from '../../src/ssh/connection-messages.ts';
import { type Attacked, startAttacked } from './attacked.ts';
import { readText } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { listenOn } from '../harness/echo-node.ts';
import { freePorts } from '../harness/own-ports.ts';
import { RawClient, type Shown, shownWith } from '../ssh/ssh-raw-client.ts';
import { now } from '../ssh/ssh-workbench.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked({ within: ['prlimit', '--nofile=600:600'] });
});
afterAll(() => here.cluster.close());

describe('the SSH ports of a daemon with 600 descriptors', () => {
  const both = (): number[] => [here.cluster.ports.proxySsh, here.cluster.ports.ssh];
  const blob = (): Buffer => fromAuthorizedKeyLine(here.alice.sshCertificate);
  const key = (): KeyObject => privateKeyFromPem(here.alice.privateKeyPem);
  const alice = (): Shown =>
    shownWith('ssh-ed25519', blob(), publicKeyOf(key()).blob, (data) => signSsh(key(), 'ssh-ed25519', data));
  const attempt = async (port: number): Promise<string> => {
    const client = new RawClient();
    const outcome = await client.login(port, 'root', alice());
    client.end();
    await client.closed;
    return outcome;
  };
  const connected = (port: number): Promise<SshClient> =>
    connectSsh({
      target: { host: '127.0.0.1', port },
      username: 'root',
      identities: [keyIdentity(key(), blob())],
      hostAuthorities: () => here.node.sshHostCas.map(fromAuthorizedKeyLine),
      hostPrincipals: ['localhost'],
      now,
    });

  it('let alice in while 3,000 connections say nothing, on every listener, to a process of 600 descriptors', async () => {
    const held: Socket[] = [];
    const ports = Object.values(here.cluster.ports);
    const hold = async (n: number): Promise<void> => {
      const socket = connect({
        host: '127.0.0.1',
        port: ports[n % ports.length] ?? 0,
        localAddress: `127.0.0.${2 + (n % 3)}`,
      });
      socket.on('error', () => undefined).resume(); // it may be cut
      held.push(socket);
      await once(socket, 'connect');
      if (n % 2 === 0) socket.write(n % 4 === 0 ? 'SSH-2.0-x\r\n' : '\x16\x03\x01\x02\x00\x01');
    };
    for (let n = 0; n < 3_000; n += 100)
      await Promise.all(Array.from({ length: 100 }, (_, i) => hold(n + i)));
    const began = performance.now();
    for (const port of both()) expect(await attempt(port)).toBe('accepted');
    await here.unharmed();
    expect(performance.now() - began).toBeLessThan(10_000);
    const left = await until('most to be cut', () => {
      const open = held.filter(({ closed }) => !closed).length;
      return open <= 166 ? open : undefined; // a third of 600, less what the process needs itself
    });
    expect(left).toBeGreaterThan(0);
    for (const socket of held) socket.destroy();
    expect(here.cluster.output()).toMatch(/more than 166 connections have not logged in.*127\.0\.0\.[234]/);
  });

  it('end a connection that opens a channel before it logs in, in one line that is no bug', async () => {
    for (const port of both()) {
      const before = here.cluster.output().length;
      const client = new RawClient();
      const outcome = client.login(port, 'root', {
        ...alice(),
        // Asked for the proof, it opens a channel instead.
        sign: () => {
          client.send(
            wire.open({
              channelType: 'session',
              sender: 0,
              window: 1,
              maxPacket: 32_768,
              data: Buffer.alloc(0),
            }),
          );
          return Buffer.alloc(64);
        },
      });
      await client.closed;
      expect(await outcome).not.toBe('accepted');
      const told = await until('the line', () => {
        const lines = here.cluster.output().slice(before).split('\n');
        return lines.some((line) => line.includes('asked for channels before')) ? lines : undefined;
      });
      expect(told.filter((line) => /ERROR|^\s+at /.test(line))).toEqual([]);
    }
    await here.unharmed();
  });

  it('lead nowhere that a rogue node announces, and tell nobody what is there', async () => {
    const mail = createServer((socket) => void socket.on('error', () => undefined).end('220 mail\r\n'));
    const other = createServer(
      (socket) => void socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.2\r\n'),
    );
    const ports = await Promise.all([mail, other].map((server) => listenOn(server, 0)));
    const [closed = 0] = await freePorts(1);
    const client = await connected(here.cluster.ports.proxySsh);
    const told = new Set<string>();
    for (const address of [
      ...[...ports, closed].map((port) => `127.0.0.1:${port}`),
      ...['169.254.169.254:80', '[fe80::1]:22', '[::ffff:169.254.169.254]:80'],
    ]) {
      const host = {
        ...{ hostId: here.node.hostId, role: 'Node', nodename: 'n1', address, labels: {} },
        ...{ publicAddress: '', sshPublicAddress: '', version },
      };
      const answer = await here.auth('/v3/host.heartbeat', {
        as: here.node,
        body: JSON.stringify({ host, ttlSeconds: 60 }),
      });
      if (answer.status !== 200) continue; // said no earlier
      const before = here.cluster.output().length;
      const why = address.startsWith('127')
        ? /not an SSH server|not a node of a cluster|at which no process/
        : /list .* in proxy_service/;
      await until(`the proxy to know and refuse ${address}`, async () => {
        const e: unknown = await client
          .forwardOut({ host: here.node.hostId, port: 0 })
          .catch((failure: unknown) => failure);
        if (!(e instanceof Error)) throw new Error(`${address} was opened`);
        const line = here.cluster
          .output()
          .slice(before)
          .split('\n')
          .findLast((one) => one.includes('a relay was refused'));
        if (line === undefined || !line.includes(address.replace(/^\[|\].*$|:\d+$/g, '')) || !why.test(line))
          return undefined;
        told.add(e.message);
        return true;
      });
    }
    expect(told.size).toBe(1);
    expect([...told][0]).toMatch(/^cannot reach node n1/);
    for (const server of [mail, other]) server.close();
    client.close();
  });

  it('hold little for hundreds of channels that nobody reads, though all that is granted is sent', async () => {
    const ofDaemon = (): number =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readText(`/proc/${here.cluster.pid()}/status`))?.[1]) / 1024;
    const client = new RawClient();
    expect(await client.login(here.cluster.ports.proxySsh, 'root', alice())).toBe('accepted');
    const before = ofDaemon();
    for (let sender = 0; sender < 500; sender++)
      client.send(
        wire.open({ channelType: 'session', sender, window: 0, maxPacket: 32_768, data: Buffer.alloc(0) }),
      );
    await until('every answer', () => (client.received.length >= 500 ? true : undefined));
    const granted = client.received
      .filter((message) => message[0] === 91)
      .map((message) => ({ id: message.readUInt32BE(5), window: message.readUInt32BE(9) }));
    expect(granted.length).toBeGreaterThan(300);
    expect(granted.reduce((sum, { window }) => sum + window, 0)).toBeLessThanOrEqual(32 * 1024 * 1024);
    const piece = Buffer.alloc(32_768, 'x');
    for (const { id, window } of granted)
      for (let left = window; left > 0; left -= piece.length)
        client.send(
          Buffer.concat([wire.dataHeader(id, Math.min(left, piece.length)), piece.subarray(0, left)]),
        );
    // Answered in order: all of it has arrived.
    client.send(wire.globalRequest('keepalive@openssh.com', true, Buffer.alloc(0)));
    await client.message((message) => message[0] === 81);
    expect(client.received.filter((message) => message[0] === 93)).toEqual([]);
    expect(ofDaemon() - before).toBeLessThan(150);
    client.end();
    await client.closed;
    await here.unharmed();
  });
});
