import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { Hono } from 'hono';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { httpOver } from '../../api/http-over.ts';
import { dialAnybody } from '../../base/dial-tls.ts';
import { selfSignedWebCertificate } from '../../pki/web-certificate.ts';
import type { WebEnv } from './web-env.ts';
import { type WebProtocol, webServer, type WebTimeouts } from './web-server.ts';

const pairFor = (hostname: string) =>
  selfSignedWebCertificate({ hostnames: [hostname], now: new Date().toISOString() });
const [one, two] = [pairFor('one.example.com'), pairFor('two.example.com')];
const tls: WebProtocol = { speaks: 'tls', certificate: one };
const both: WebProtocol = { speaks: 'both', certificate: one };
const plain: WebProtocol = { speaks: 'plain' };

const ends: (() => void)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) end();
});

const nothing = (): void => undefined;
const likeSocket = { setTimeout: nothing, setKeepAlive: nothing, ref: nothing, unref: nothing };

/** A connection that the server takes for one that came in. Nothing was said on it yet. */
function connectTo(server: Server): Duplex {
  const [near, far] = duplexPair();
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroy());
  server.emit('connection', far);
  return Object.assign(near, likeSocket);
}

/** A web server without a network, of which one path answers at once and another when the test says so. */
function rig(protocol: WebProtocol, timeouts?: WebTimeouts) {
  const come = Promise.withResolvers<undefined>();
  const answer = Promise.withResolvers<undefined>();
  const app = new Hono<WebEnv>();
  app.get('/', (c) => c.text('yes'));
  app.get('/slow', async (c) => {
    come.resolve(undefined);
    await answer.promise;
    return c.text('late');
  });
  const links: Duplex[] = [];
  const web = webServer(app, protocol, timeouts, { ssh: (connection) => links.push(connection) });
  // As when it listens: from then on the runtime knows which connections are idle.
  web.server.emit('listening');
  /** Asks over one connection after the other of its own; `open` says how. */
  const client = (open: () => Promise<Duplex> | Duplex) => {
    const http = httpOver(
      Object.assign(async () => Promise.resolve(open()), { passOver: nothing }),
      true,
    );
    ends.push(() => {
      http.close();
    });
    const { signal } = new AbortController();
    const send = (path = '/'): Promise<IncomingMessage> => http.send({ method: 'GET', path, signal });
    return async (path?: string) => {
      const got = await send(path);
      const said = { body: await text(got), connection: got.headers.connection };
      await turn();
      return said;
    };
  };
  const overPlain = () => connectTo(web.server);
  const overTls = async (name = 'one.example.com') => {
    const socket = dialAnybody({ socket: connectTo(web.server), servername: name });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket;
  };
  /** Whose certificate is shown to who asks for this name. */
  const shownFor = async (name: string): Promise<string | undefined> => {
    const socket = await overTls(name);
    const shown = socket.getPeerX509Certificate()?.fingerprint256;
    socket.destroy();
    return [one, two].map(fingerprintOf).includes(shown ?? '') ? shown : 'of nobody';
  };
  ends.push(() => web.server.close());
  return { web, come: come.promise, answer, client, overPlain, overTls, shownFor, links };
}
const fingerprintOf = ({ certificatePem }: { readonly certificatePem: string }): string =>
  new X509Certificate(certificatePem).fingerprint256;

const noEnd = new Promise<void>(() => undefined);
function ending(web: ReturnType<typeof webServer>, over: Promise<void> = noEnd, given = true) {
  const state = { ended: false };
  const done = web.close({ over, given }).then(() => {
    state.ended = true;
  });
  return { state, done };
}

describe('the web port', () => {
  it('gives a client that asks for SSH in the handshake to the server of SSH, and no other', async () => {
    const came: string[] = [];
    const web = webServer(new Hono<WebEnv>(), tls, undefined, {
      ssh: (connection) => {
        connection.once('data', (data: Buffer) => came.push(data.toString()));
        connection.write('SSH-2.0-server');
      },
    });
    ends.push(() => web.server.close());
    const open = async (...ALPNProtocols: string[]) => {
      const socket = dialAnybody({ socket: connectTo(web.server), ALPNProtocols });
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      return socket;
    };
    const ssh = await open('teleport-ssh');
    const greeting = new Promise((resolve) => ssh.once('data', resolve));
    ssh.write('SSH-2.0-client');
    expect(String(await greeting)).toBe('SSH-2.0-server');
    await vi.waitFor(() => {
      expect(came).toEqual(['SSH-2.0-client']);
    });
    expect((await open('http/1.1')).alpnProtocol).toBe('http/1.1');
    ssh.destroy();
  });
  it('speaks TLS, plain HTTP, or both, as it was told', async () => {
    const open = rig(plain);
    expect((await open.client(open.overPlain)()).body).toBe('yes');
    const secure = rig(tls);
    expect((await secure.client(() => secure.overTls())()).body).toBe('yes');
    await expect(secure.client(secure.overPlain)()).rejects.toThrow();
    const any = rig(both);
    expect((await any.client(any.overPlain)()).body).toBe('yes');
    expect((await any.client(() => any.overTls())()).body).toBe('yes');
  });

  it('shows the certificate for the name that is asked for, else the first, and newer ones when it was given them', async () => {
    const { web, shownFor } = rig(tls);
    expect(await shownFor('one.example.com')).toBe(fingerprintOf(one));
    expect(await shownFor('two.example.com')).toBe(fingerprintOf(one));
    web.serve([one, two]);
    expect(await shownFor('one.example.com')).toBe(fingerprintOf(one));
    expect(await shownFor('two.example.com')).toBe(fingerprintOf(two));
    expect(await shownFor('three.example.com')).toBe(fingerprintOf(one));
    web.serve([two]);
    expect(await shownFor('one.example.com')).toBe(fingerprintOf(two));
    // Who names nobody: TLS sends no name of an address.
    expect(await shownFor('')).toBe(fingerprintOf(two));
  });

  it('has nothing to show where it speaks no TLS', () => {
    const { web } = rig(plain);
    expect(() => {
      web.serve([one]);
      web.serve([]);
    }).not.toThrow();
  });

  it.each([
    ['its head', 'GET / HTTP/1.1\r\nHost: a', { headersMs: 20, requestMs: 9_000 }],
    [
      'all of it',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
      { headersMs: 10, requestMs: 20 },
    ],
  ])('waits for a request as long as it was told: %s', async (_what, begun, limits) => {
    const { web } = rig(plain, { greetingMs: 7_000, checkMs: 10, ...limits });
    const slow = connectTo(web.server);
    slow.write(begun);
    const answer: Buffer[] = [];
    slow.on('data', (part: Buffer) => answer.push(part));
    await once(slow, 'close');
    expect(Buffer.concat(answer).toString()).toContain('HTTP/1.1 408 ');
  });

  /** What comes back for these first bytes, until `enough` of it is there. */
  async function said(socket: Duplex, bytes: string, enough: RegExp): Promise<string> {
    let answer = '';
    socket.on('data', (part: Buffer) => (answer += part.toString('latin1')));
    socket.write(bytes);
    while (!enough.test(answer)) await turn();
    return answer;
  }
  const asking = (path: string, offered: string, method = 'GET'): string =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${offered}\r\n\r\n`;
  it.each(['plain', 'TLS'])(
    'upgrades to whatever else this port serves, over %s, with what came along',
    async (over) => {
      const { overPlain, overTls, links } = rig(both);
      const socket = over === 'TLS' ? await overTls() : overPlain();
      await said(
        socket,
        `${asking('/v1/webapi/connect', 'Teleport')}SSH-2.0-early`,
        /101 Switching[^]*\r\n\r\n/,
      );
      while (links.length === 0) await turn();
      const got: Buffer[] = [];
      links[0]?.on('data', (part: Buffer) => got.push(part));
      socket.write(' and late');
      while (!Buffer.concat(got).includes('late')) await turn();
      expect(Buffer.concat(got).toString()).toBe('SSH-2.0-early and late');
      socket.destroy();
    },
  );
  it.each([
    ['/v1/webapi/connect', 'h2c', 'GET', /^HTTP\/1.1 404 /],
    ['/v1/webapi/connect', 'teleport', 'POST', /^HTTP\/1.1 404 /],
    ['/v1/webapi/connectx', 'teleport', 'GET', /^HTTP\/1.1 404 /],
    ['/', 'h2c', 'GET', /^HTTP\/1.1 200 [^]*yes/],
  ])('answers %s that offers %s by %s as any other request', async (path, offered, method, answer) => {
    const { overPlain, links } = rig(plain);
    await said(overPlain(), asking(path, offered, method), answer);
    expect(links).toEqual([]);
  });

  it('cuts who connects and says nothing, whatever it speaks', async () => {
    for (const protocol of [tls, both]) {
      const { web } = rig(protocol, { greetingMs: 20, headersMs: 7_000, requestMs: 9_000, checkMs: 1_000 });
      const silent = connectTo(web.server);
      await new Promise((resolve) => silent.once('close', resolve));
    }
  });
});

describe('a port for two protocols', () => {
  it('waits ten seconds for the first byte, and no longer once it has come', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { web } = rig(both);
    const [silent, slow] = [connectTo(web.server), connectTo(web.server)];
    await vi.advanceTimersByTimeAsync(5_000);
    slow.write('G');
    for (let n = 0; n < 3; n++) await turn();
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(silent.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    for (let n = 0; n < 3; n++) await turn();
    expect([silent.destroyed, slow.destroyed]).toEqual([true, false]);
    slow.destroy();
  });

  it('lets go of who closes, or ends, without a word', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { web } = rig(both);
    const [closed, ended] = [connectTo(web.server), connectTo(web.server)];
    closed.destroy();
    ended.end();
    for (let n = 0; n < 5; n++) await turn();
    expect(vi.getTimerCount()).toBe(0);
    expect(ended.destroyed).toBe(true);
  });
});

describe('a web server that ends', () => {
  it('tells who asks meanwhile that the connection closes', async () => {
    for (const protocol of [plain, both]) {
      const { web, client, overPlain } = rig(protocol);
      const ask = client(overPlain);
      expect((await ask()).connection).toBe('keep-alive');
      const { done } = ending(web);
      expect((await ask()).connection).toBe('close');
      await done;
    }
  });

  it('closes who is idle at once without a grace, else after a second', async () => {
    for (const given of [true, false]) {
      const { web, client, overTls } = rig(tls);
      let socket: Duplex | undefined;
      await client(async () => (socket = await overTls()))();
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
      const { state, done } = ending(web, noEnd, given);
      await vi.advanceTimersByTimeAsync(999);
      for (let n = 0; n < 10; n++) await turn();
      expect([socket?.destroyed, state.ended]).toEqual([!given, !given]);
      await vi.advanceTimersByTimeAsync(1);
      await done;
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
    }
  });

  it('cuts everybody when its time is over, also who has not said a word', async () => {
    const { web, client, overPlain, come } = rig(both);
    const lost = expect(client(overPlain)('/slow')).rejects.toThrow();
    await come;
    const silent = connectTo(web.server);
    const over = Promise.withResolvers<undefined>();
    const { state, done } = ending(web, over.promise);
    for (let n = 0; n < 5; n++) await turn();
    expect([silent.destroyed, state.ended]).toEqual([false, false]);
    over.resolve(undefined);
    await done;
    await lost;
    await turn();
    expect(silent.destroyed).toBe(true);
  });
});
