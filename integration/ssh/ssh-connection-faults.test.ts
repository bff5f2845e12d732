import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { connectSsh, type SshClientOptions } from '../../src/ssh/cert-client.ts';
import { type AcceptOptions, type SshConnection } from '../../src/ssh/cert-server.ts';
import * as wire from '../../src/ssh/connection-messages.ts';
import { proxyPreamble } from '../../src/ssh/proxy-preamble.ts';
import { challengeOf } from '../../src/ssh/server-banner.ts';
import { showing, user } from './ssh-bad-certificates.ts';
import { RawClient } from './ssh-raw-client.ts';
import {
  cleanUp,
  clientOptions,
  listen,
  now,
  runOverOurs,
  serve,
  userCertificate,
  userIdentity,
  type Served,
} from './ssh-workbench.ts';

let ours: Served;
beforeAll(async () => {
  ours = await serve();
});
afterAll(cleanUp);

describe('breaking the connection protocol', () => {
  const open = wire.open({
    channelType: 'session',
    sender: 7,
    window: 1 << 20,
    maxPacket: 32768,
    data: Buffer.alloc(0),
  });
  const confirmed = (payload: Buffer): boolean => payload[0] === 91;
  const channelOf = (payload: Buffer): number => payload.readUInt32BE(5);

  const breaches: Record<string, (id: number) => Buffer[]> = {
    'data beyond the window': (id) =>
      Array.from({ length: 80 }, () => Buffer.concat([wire.dataHeader(id, 32000), Buffer.alloc(32000)])),
    'data after the end of data': (id) => [
      wire.eof(id),
      Buffer.concat([wire.dataHeader(id, 1), Buffer.of(1)]),
    ],
    'a window beyond all bounds': (id) => [wire.windowAdjust(id, 0xffff_ffff)],
    'data for a channel that is not open': () => [Buffer.concat([wire.dataHeader(999, 1), Buffer.of(1)])],
    'an answer to no question': () => [wire.requestSuccess(Buffer.alloc(0))],
    'a confirmation of no request': () => [wire.openConfirmation(999, 1, 1, 32768)],
    'a message cut short': () => [Buffer.of(94, 0, 0)],
    'a message with bytes behind it': (id) => [Buffer.concat([wire.close(id), Buffer.of(0)])],
    'a channel with packets of no size': () => [
      wire.open({ channelType: 'session', sender: 8, window: 1, maxPacket: 0, data: Buffer.alloc(0) }),
    ],
  };
  it.each(Object.entries(breaches))('%s ends the connection', async (_name, make) => {
    // Somebody reads, though not now.
    const holding = await serve({}, () => ({ session: (o) => void o.accept(() => undefined).pause() }));
    const client = new RawClient();
    expect(await client.login(holding.port, 'root', showing(userCertificate(user())))).toBe('accepted');
    client.send(open);
    const id = channelOf(await client.message(confirmed));
    for (const payload of make(id)) client.send(payload);
    await client.closed;
    await holding.connections[0]?.closed;
  });

  it('data beyond the window of a channel that nobody reads ends that channel, and goes nowhere', async () => {
    const holding = await serve({}, () => ({ session: (o) => void o.accept(() => undefined) }));
    const client = new RawClient();
    expect(await client.login(holding.port, 'root', showing(userCertificate(user())))).toBe('accepted');
    client.send(open);
    const id = channelOf(await client.message(confirmed));
    for (const payload of breaches['data beyond the window']?.(id) ?? []) client.send(payload);
    client.send(wire.globalRequest('keepalive@openssh.com', true, Buffer.alloc(0)));
    await client.message((payload) => payload[0] === 81);
    expect(client.received.filter((payload) => payload[0] === 97)).toHaveLength(1);
    client.end();
    await client.closed;
  });

  it('too many channels are refused, one by one', async () => {
    const small = await serve({ maxChannels: 2 }, () => ({ session: (o) => void o.accept(() => undefined) }));
    const client = new RawClient();
    await client.login(small.port, 'root', showing(userCertificate(user())));
    for (let i = 0; i < 3; i++) client.send(open);
    const failure = await client.message((payload) => payload[0] === 92);
    expect(failure.readUInt32BE(5)).toBe(4); // SSH_OPEN_RESOURCE_SHORTAGE
    expect(client.received.filter(confirmed)).toHaveLength(2);
    client.end();
  });

  it('unknown channel types, sessions after no-more-sessions, and remote forwarding are refused', async () => {
    const client = new RawClient();
    await client.login(ours.port, 'root', showing(userCertificate(user())));
    client.send(
      wire.open({ channelType: 'x11', sender: 1, window: 1, maxPacket: 32768, data: Buffer.alloc(0) }),
    );
    expect((await client.message((p) => p[0] === 92)).readUInt32BE(5)).toBe(3);
    client.send(wire.globalRequest('tcpip-forward', true, Buffer.alloc(0)));
    await client.message((p) => p[0] === 82);
    client.send(wire.globalRequest('no-more-sessions@openssh.com', false, Buffer.alloc(0)));
    client.send(open);
    await client.message((p) => p[0] === 92 && p.readUInt32BE(1) === 7);
    client.end();
  });
});

describe('the preamble of a proxy', () => {
  const claimed = { host: '203.0.113.9', port: 4022 };

  /**
   * A server behind a listener that treats every peer alike, and a client whose bytes come after those of
   * `begin`.
   */
  async function through(
    begin: Buffer | ((banner: string) => Buffer),
    accept: AcceptOptions,
  ): Promise<{ seen: SshConnection | undefined; error?: unknown }> {
    const served = await serve();
    const port = await listen(
      net.createServer((socket) => {
        served.server.accept(socket, accept);
      }),
    );
    const socket = net.connect(port, '127.0.0.1');
    const [banner] = (await once(socket, 'data')) as [Buffer];
    const first = typeof begin === 'function' ? begin(banner.toString()) : begin;
    socket.pause();
    socket.unshift(banner);
    socket.write(first);
    try {
      const client = await connectSsh({ ...clientOptions(0), target: { stream: socket } });
      client.close();
      await client.closed;
      return { seen: served.connections[0] };
    } catch (error) {
      return { seen: undefined, error };
    }
  }

  const unsigned = proxyPreamble({ client: claimed, proof: undefined });
  /** Signs nothing in earnest: whether it holds is the owner's to say. */
  const signed = proxyPreamble({
    client: claimed,
    proof: { certificate: Buffer.from('c'), signature: Buffer.from('s') },
  });

  it('is believed when it is signed and the owner has no doubt, with what this banner asked', async () => {
    const asked: string[] = [];
    const banners: string[] = [];
    const answer = (banner: string): Buffer => {
      banners.push(banner);
      return signed;
    };
    const doubtAboutClient: AcceptOptions['doubtAboutClient'] = (_preamble, challenge) => {
      asked.push(challenge);
      return undefined;
    };
    for (let n = 0; n < 2; n++)
      expect((await through(answer, { doubtAboutClient })).seen?.peer).toMatchObject({
        remoteAddress: claimed,
        socketAddress: { host: '127.0.0.1' },
        claimedAddress: claimed,
      });
    expect(banners.map(challengeOf)).toEqual(asked);
    expect(new Set(asked).size).toBe(2);
  });

  it('is refused when it is signed and does not hold', async () => {
    const { seen, error } = await through(signed, { doubtAboutClient: () => 'it is forged' });
    expect(seen).toBeUndefined();
    expect(error).toBeInstanceOf(CodedError);
  });

  it('is asked about only when there is one that is signed', async () => {
    const doubtAboutClient = (): string => 'never asked';
    expect((await through(Buffer.alloc(0), { doubtAboutClient })).seen?.peer.claimedAddress).toBeUndefined();
    expect((await through(unsigned, { doubtAboutClient })).seen?.peer).toMatchObject({
      remoteAddress: { host: '127.0.0.1' },
      claimedAddress: claimed,
    });
  });

  it('is taken off, and kept as a claim only, where nobody is asked to sign', async () => {
    for (const preamble of [unsigned, signed]) {
      const banners: string[] = [];
      const { seen } = await through((banner) => {
        banners.push(banner);
        return preamble;
      }, {});
      expect(seen?.peer).toMatchObject({ remoteAddress: { host: '127.0.0.1' }, claimedAddress: claimed });
      expect(banners).toEqual(['SSH-2.0-OpenSSH_Teleport\r\n']);
    }
  });

  it('counts for source-address when it is believed', async () => {
    const served = await serve();
    const port = await listen(
      net.createServer((s) => {
        served.server.accept(s, { remoteAddress: claimed });
      }),
    );
    const only = (address: string): Partial<SshClientOptions> => ({
      identities: [userIdentity('ed25519', { criticalOptions: { 'source-address': address } })],
    });
    expect(await runOverOurs(port, 'hi', only('203.0.113.0/24'))).toBe('ran hi');
    await expect(runOverOurs(port, 'hi', only('127.0.0.1'))).rejects.toMatchObject({ code: 'access_denied' });
  });

  it.each([
    ['malformed', Buffer.from('Teleport-Proxy{"clientAddr":"nowhere"}\0')],
    ['endless', Buffer.from(`Teleport-Proxy{"clientAddr":"${'1'.repeat(20_000)}`)],
  ])('that is %s ends the connection', async (_name, first) => {
    const { error } = await through(first, { doubtAboutClient: () => undefined });
    expect(error).toBeInstanceOf(CodedError);
  });
});

describe('ending connections', () => {
  it('closeConnections leaves no socket, also of clients that never logged in or do not answer', async () => {
    const served = await serve({}, () => ({ session: (o) => void o.accept(() => undefined) }));
    const silent = net.connect(served.port, '127.0.0.1');
    silent.on('error', () => undefined);
    await once(silent, 'data'); // the banner
    silent.pause();
    const client = await connectSsh(clientOptions(served.port));
    expect(served.server.connections()).toHaveLength(1);
    await served.server.closeConnections('going down');
    expect(served.server.connections()).toHaveLength(0);
    const reason = await client.closed;
    expect(reason?.message).toContain('going down');
    silent.destroy();
  });

  it('a draining server takes nobody new, and keeps the old', async () => {
    const served = await serve();
    const client = await connectSsh(clientOptions(served.port));
    served.server.drain();
    await expect(connectSsh(clientOptions(served.port))).rejects.toMatchObject({ code: 'unavailable' });
    expect(await client.request('keepalive@openssh.com')).toEqual(Buffer.alloc(0));
    client.close();
  });

  it('disconnectAt ends the session at its moment', async () => {
    const served = await serve({ disconnectAt: () => now() + 1n });
    const client = await connectSsh(clientOptions(served.port));
    expect((await client.closed)?.message).toContain('the certificate has expired');
  });

  it('an aborted signal ends a connection of ours', async () => {
    const abort = new AbortController();
    const client = await connectSsh(clientOptions(ours.port, { signal: abort.signal }));
    abort.abort();
    await client.closed;
    await expect(client.exec('x')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('a peer that stops answering is given up', async () => {
    const served = await serve();
    const stalled = await listen(
      net.createServer((socket) => {
        const upstream = net.connect(served.port, '127.0.0.1');
        socket.on('error', () => undefined).pipe(upstream);
        upstream.on('error', () => undefined).pipe(socket);
        cut = () => {
          socket.unpipe(upstream);
          upstream.unpipe(socket);
        };
        socket.once('close', () => upstream.destroy());
      }),
    );
    let cut = (): void => undefined;
    const client = await connectSsh(clientOptions(stalled, { keepaliveMs: 50, keepaliveCountMax: 2 }));
    await expect.poll(() => served.connections.length).toBe(1);
    cut();
    await client.closed;
  });
});
