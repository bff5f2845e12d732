import { connect as connectTcp, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relayProtocol } from '../../src/base/relay-protocol.ts';
import { logIn } from '../harness/people.ts';
import type { Ran } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { type Front, hangingOn, startTunnelPair, type TunnelFleet } from './tunnel-fleet.ts';

/* What somebody without any certificate can do at the ports where links come in. */

const login = userInfo().username;
let fleet: TunnelFleet;
let one: Front;
let node: Reloadable;
const far = (): Promise<Ran> => one.people.tsh('alice', ['ssh', `${login}@far1`, 'echo', 'well']);

beforeAll(async () => {
  ({ fleet, one, node } = await startTunnelPair());
});
afterAll(async () => {
  await fleet.close();
});

describe('strangers', () => {
  const opened: Socket[] = [];
  afterAll(() => {
    for (const socket of opened) socket.destroy();
  });

  it('do not keep people or nodes out: 2000 at the web port, and as many through to auth', async () => {
    const hello = (alpn: string): Promise<void> =>
      new Promise((done) => {
        const socket = connectTls({
          ...{ port: one.ports.web, host: '127.0.0.1', rejectUnauthorized: false },
          ALPNProtocols: [alpn],
          servername: 'teleport.cluster.local',
        });
        opened.push(socket);
        socket.on('error', () => {
          done();
        });
        socket.once('secureConnect', () => {
          done();
        });
      });
    for (let i = 0; i < 2000; i++) {
      const socket = connectTcp(one.ports.web, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0, 190])); // half a ClientHello
      opened.push(socket);
    }
    for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 50 }, () => hello(relayProtocol)));
    await logIn(one.people, 'alice');
    expect(await far()).toMatchObject({ code: 0, stdout: 'well\n' });
    expect(await fleet.hangsOn(node.machine)).toEqual(new Set([one.hostId()]));
    const late = await fleet.addNode('far2');
    await hangingOn(fleet, late, [one]);
    await late.end();
  });

  it('are cut when they do not get on with half a ClientHello', async () => {
    const socket = connectTcp(one.ports.web, '127.0.0.1');
    socket.on('error', () => undefined);
    const began = performance.now();
    socket.write(Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0, 190]));
    const drip = setInterval(() => socket.write(Buffer.from([0])), 500);
    await new Promise((closed) => socket.once('close', closed));
    clearInterval(drip);
    expect(performance.now() - began).toBeLessThan(13_000);
  });

  it('get nothing by an upgrade but what the port gives', async () => {
    const upgraded = (path: string, then: string): Promise<string> =>
      new Promise((done) => {
        const socket = connectTls({ port: one.ports.web, host: '127.0.0.1', rejectUnauthorized: false });
        let got = '';
        socket.on('error', () => undefined);
        socket.on('data', (data: Buffer) => (got += data.toString('latin1')));
        socket.once('close', () => {
          done(got);
        });
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: teleport\r\n\r\n${then}`,
        );
      });
    expect(await upgraded('/v1/webapi/connect', 'GET / HTTP/1.1\r\n\r\n')).not.toContain('200');
    // A request like any other: it is not upgraded.
    expect(await upgraded('/web', '')).toMatch(/^HTTP\/1\.1 302 /);
    const again = await upgraded(
      '/v1/webapi/connect',
      'GET /v1/webapi/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: teleport\r\n\r\n',
    );
    expect(again.match(/101 Switching/g)).toHaveLength(1);
  });
});
