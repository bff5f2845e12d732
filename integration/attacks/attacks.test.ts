import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, createServer as createTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { joinCluster } from '../../src/api/join-client.ts';
import { realWorld } from '../../src/base/world.ts';
import { ping as webPing } from '../../src/cli/tsh/cluster/web-client.ts';
import { generateP256 } from '../../src/pki/key-pair.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';
import { createCaCertificate } from '../../src/pki/x509.ts';
import { type Attacked, startAttacked, uuid } from './attacked.ts';
import { until } from '../harness/run-program.ts';
import { type Material, newKey } from '../harness/auth-bench.ts';
import { closeServer, tlsServer } from '../../src/auth/tls-server.ts';
import { listenOn } from '../harness/echo-node.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

const code = ({ body }: { body: string }): unknown => (JSON.parse(body) as { code?: unknown }).code;
const denied = { status: 403, body: expect.stringContaining('access_denied') as string };

/** A certificate that says whatever its maker wants, by an authority of the same name. */
function forged(role: string): Material {
  const caKey = generateP256();
  const now = realWorld.now();
  const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now });
  const { privateKeyPem, publicKey } = newKey();
  const tlsCertificatePem = issueHostTlsCertificate({
    ...{ publicKey: publicKey.key, caPem, caKey, hostId: uuid(1), clusterName: 'example', role },
    ...{ additionalPrincipals: [], now },
  });
  return { privateKeyPem, tlsCertificatePem, tlsCasPem: [] };
}

describe('TLS', () => {
  const weak =
    'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:AES128-SHA:AES128-GCM-SHA256';
  const weakly = { maxVersion: 'TLSv1.2', ciphers: `${weak}:@SECLEVEL=0` } as const;

  it.each(['auth', 'web'] as const)(
    'of the %s port agrees to no CBC, no SHA-1 and no key for ever',
    async (port) => {
      const options = { port: here.cluster.ports[port], host: 'localhost', rejectUnauthorized: false };
      const refused = connectTls({ ...options, ...weakly });
      const [error] = (await Promise.race([once(refused, 'error'), once(refused, 'secureConnect')])) as [
        Error?,
      ];
      expect(error?.message).toMatch(/handshake failure/);
      const strong = connectTls({ ...options, maxVersion: 'TLSv1.2' });
      await once(strong, 'secureConnect');
      expect(strong.getCipher().name).toMatch(/^ECDHE-.*(GCM|POLY1305)/);
      strong.destroy();
    },
  );

  it('that we ask for agrees to none of them either', async () => {
    const { privateKeyPem, tlsCertificatePem } = forged('Auth');
    const server = createTls({ key: privateKeyPem, cert: tlsCertificatePem, ...weakly });
    const faults: string[] = [];
    server.on('tlsClientError', (e) => faults.push(e.message));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(
      joinCluster({ servers: [{ host: '127.0.0.1', port }], pins: [here.pin] }, here.joining(), realWorld),
    ).rejects.toThrow();
    await expect(
      webPing({ address: { host: '127.0.0.1', port }, authorities: [], insecure: true, env: {} }),
    ).rejects.toThrow();
    expect(faults.length).toBeGreaterThanOrEqual(2);
    for (const fault of faults) expect(fault).toMatch(/no shared cipher/);
    server.close();
  });
});

describe('the auth port', () => {
  it('gives nothing to who has no certificate', async () => {
    for (const path of ['/v3/cluster.status', '/v3/token.create', '/v3/user.log-in', '/v3/host.heartbeat'])
      expect(await here.auth(path, { body: '{}' })).toMatchObject({
        status: 403,
        body: expect.stringContaining('needs a client certificate') as string,
      });
    for (const log of ['state', 'presence', 'audit'])
      expect(await here.auth(`/v3/log/${log}`, { method: 'GET' })).toMatchObject(denied);
  });

  it('gives a user, a node and a proxy what is theirs, and nothing of the others', async () => {
    const { alice, node, proxy } = here;
    const admin = ['user.create', 'user.delete', 'token.create', 'token.list', 'cluster.status'];
    // The role `admin` has a rule for it, as in 4.4: people may read events, machines may not.
    const ofPeople = ['audit.search'];
    const ofProxies = ['user.log-in', 'invite.read', 'invite.accept'];
    const tries = [
      ...[...admin, ...ofProxies, 'host.heartbeat', 'audit.emit'].map((name) => ({ as: alice, name })),
      ...[...admin, ...ofPeople, ...ofProxies, 'host.list'].map((name) => ({ as: node, name })),
      ...[...admin, ...ofPeople].map((name) => ({ as: proxy, name })),
    ];
    for (const { as, name } of tries)
      expect({ name, ...(await here.auth(`/v3/${name}`, { as, body: '{}' })) }).toMatchObject(denied);
    const follow = async (as: Material, log: string): Promise<number> =>
      (await here.auth(`/v3/log/${log}`, { method: 'GET', as })).status;
    expect(await follow(node, 'audit')).toBe(403);
    expect(await follow(node, 'presence')).toBe(403);
    expect(await follow(proxy, 'audit')).toBe(403);
    expect(await follow(alice, 'state')).toBe(403);
    for (const snapshot of ['state/snapshot/invites', 'state/snapshot/tokens', 'audit/snapshot/x'])
      expect([403, 404]).toContain(await follow(node, snapshot));
  });

  it('takes a certificate of another cluster for no certificate at all', async () => {
    for (const role of ['Admin', 'Auth', 'Proxy', 'Node'])
      expect(await here.auth('/v3/cluster.status', { as: forged(role), body: '{}' })).toMatchObject(denied);
  });

  it('refuses what is too long, no JSON, too deep or elsewhere', async () => {
    const join = (body: string | Buffer) => here.auth('/v3/host.join', { body });
    expect(code(await join('{"hostId":'))).toBe('bad_request');
    expect(code(await join('[]'))).toBe('bad_request');
    expect(code(await join('{"__proto__":{"token":"x"}}'))).toBe('bad_request');
    expect(code(await join(Buffer.from([0xff, 0xfe, 0x00])))).toBe('bad_request');
    expect(code(await join('['.repeat(1_000_000)))).toBe('bad_request');
    expect(code(await join(`${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`))).toBe('bad_request');
    const long = await join('x'.repeat(3 * 1024 * 1024)).catch((e: unknown) => (e as { code: string }).code);
    expect(typeof long === 'string' ? long : long.status).toSatisfy(
      (told) => told === 413 || told === 'ECONNRESET' || told === 'EPIPE',
    );
    for (const path of [
      ...['/v3/../v3/cluster.status', '/v3//cluster.status', '/v3/cluster.status/', '/v3/%63luster.status'],
      ...['/v3/constructor', '/v3/__proto__', '/v3/host.join%00', '//v3/host.join', '/v3/log/state'],
      ...['/v3/log/..%2f..%2fkeyring', '/v3/log/state?after=-1', '/v3/log/state/snapshot/..%2f..%2fkeyring'],
    ]) {
      const answer = await here.auth(path, { body: '{}' });
      expect({ path, ...answer }).toMatchObject({
        status: expect.toSatisfy((s) => s >= 400 && s < 500) as number,
      });
    }
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
      expect((await here.auth('/v3/cluster.ping', { method })).status).toBe(404);
    await here.unharmed();
  });

  it('says nothing over plain HTTP or HTTP/2, and refuses headers of 100 KiB', async () => {
    const { auth } = here.cluster.ports;
    expect(await here.raw(auth, 'GET /v3/log/state HTTP/1.1\r\nHost: x\r\n\r\n')).not.toContain(
      'HTTP/1.1 200',
    );
    expect(await here.raw(auth, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'tls')).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(await here.raw(auth, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(100_000)}`, 'tls')).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });

  it('serves others while hundreds of connections say nothing, half a handshake, or half a request', async () => {
    const { auth } = here.cluster.ports;
    const held: Socket[] = [];
    const hold = async (bytes: Buffer): Promise<void> => {
      const socket = connectTcp(auth, '127.0.0.1').on('error', () => undefined);
      held.push(socket);
      await once(socket, 'connect');
      socket.write(bytes);
    };
    for (const bytes of [Buffer.alloc(0), Buffer.from('1603010200010001fc0303', 'hex')])
      await Promise.all(Array.from({ length: 150 }, () => hold(bytes)));
    const began = performance.now();
    await here.unharmed();
    expect((await here.auth('/v3/host.list', { as: here.alice, body: '{"role":"Node"}' })).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(3_000);
    for (const socket of held) socket.destroy();
  });
});

describe('the TLS of an auth server', () => {
  const listener = (_request: unknown, response: { end(text: string): void }): void => {
    response.end('served');
  };

  it('cuts who says nothing, half a handshake, half a header or half a body', async () => {
    const { privateKeyPem: key, tlsCertificatePem: cert, tlsCasPem: ca } = here.node;
    const timeouts = { greetingMs: 200, headersMs: 200, requestMs: 400, checkMs: 50 };
    const server = tlsServer({ key, cert, ca }, listener, timeouts);
    const port = await listenOn(server, 0);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const connections: Socket[] = [];
    const keptAlive = async (): Promise<void> => {
      const outgoing = request({ port, agent, rejectUnauthorized: false }).end();
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
      connections.push(incoming.socket);
      await text(incoming);
    };
    await keptAlive();
    for (const bytes of ['', '\x16\x03\x01\x02\x00\x01']) await here.raw(port, Buffer.from(bytes, 'latin1'));
    for (const bytes of ['', 'POST / HTTP/1.1\r\nHost: x\r\nX-A: ']) await here.raw(port, bytes, 'tls');
    expect(await here.raw(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc', 'tls')).toMatch(
      /served/,
    );
    // Who is between two requests is not cut: it has been idle for longer than either limit.
    await keptAlive();
    expect(connections[1]).toBe(connections[0]);
    agent.destroy();
    await closeServer(server, { over: Promise.resolve(), given: false, succession: 'none' });
  });

  it('keeps no connection open after its answer while there are too many', async () => {
    const { privateKeyPem: key, tlsCertificatePem: cert, tlsCasPem: ca } = here.node;
    const server = tlsServer({ key, cert, ca }, listener, { crowdedFrom: 2 });
    const port = await listenOn(server, 0);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const answer = async (): Promise<string | undefined> => {
      const outgoing = request({ port, agent, rejectUnauthorized: false }).end();
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
      expect(await text(incoming)).toBe('served');
      return incoming.headers.connection;
    };
    expect(await answer()).toBe('keep-alive');
    const others = [connectTcp(port), connectTcp(port)];
    await Promise.all(others.map((one) => once(one, 'connect')));
    expect(await answer()).toBe('close');
    for (const one of others) one.destroy();
    await until('the others to be gone', async () => ((await answer()) === 'keep-alive' ? true : undefined));
    agent.destroy();
    await closeServer(server, { over: Promise.resolve(), given: false, succession: 'none' });
  });
});

describe('a daemon that is told to end', () => {
  it('does so at once though mute connections lie on every port', async () => {
    const { diag, ...ports } = here.cluster.ports;
    const mute = await Promise.all(
      [diag, ...Object.values(ports)].map(async (port) => {
        const socket = connectTcp(port, '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        return socket;
      }),
    );
    await here.unharmed();
    const began = performance.now();
    expect(await here.cluster.stop()).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(5_000);
    for (const socket of mute) socket.destroy();
  });
});
