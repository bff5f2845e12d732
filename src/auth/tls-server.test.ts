import type { IncomingMessage, RequestListener } from 'node:http';
import type { Server } from 'node:https';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { httpOver } from '../api/http-over.ts';
import { fakeWorld } from '../api/testing.ts';
import { authServerName, secure, type TlsMaterial } from '../api/tls-dial.ts';
import type { Grace } from '../base/ending.ts';
import { second } from '../base/time.ts';
import { issueHostIdentity } from './host/issue-host-identity.ts';
import { authoritiesOf } from './own-certificate.ts';
import { authHostId, openTestAuth, type TestAuth } from './testing.ts';
import { secureContextOf, type TlsContext } from '../base/tls-policy.ts';
import { closeServer, tlsServer, type TlsSettings } from './tls-server.ts';

let context: TlsContext;
let proxy: TlsMaterial;
let anyone: TlsMaterial;
let close: () => Promise<void>;
/** The runtime looks at certificates by the clock of the machine. */
const openNow = (): Promise<TestAuth> => openTestAuth({ world: fakeWorld(new Date().toISOString()) });
beforeAll(async () => {
  const auth = await openNow();
  const identityOf = (role: 'Auth' | 'Proxy') =>
    issueHostIdentity(auth.deps, { hostId: authHostId, nodename: 'one', role, additionalPrincipals: [] });
  const [own, theirs] = [await identityOf('Auth'), await identityOf('Proxy')];
  const { user, host } = authoritiesOf(auth.deps);
  context = { key: own.privateKeyPem, cert: own.tlsCertificatePem, ca: [...host, ...user] };
  anyone = { ca: host, serverName: authServerName };
  proxy = { ...anyone, key: theirs.privateKeyPem, cert: theirs.tlsCertificatePem };
  close = async () => {
    await auth.close();
    await auth.log.close();
  };
});
afterAll(() => close());

const ends: (() => void)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) end();
});

const nothing = (): void => undefined;
const likeSocket = { setTimeout: nothing, setKeepAlive: nothing, ref: nothing, unref: nothing };

/** A server without a network, and clients of it: each has one connection for all that it asks. */
function rig(listener: RequestListener, settings: Partial<TlsSettings> = {}) {
  const server = tlsServer(context, listener, settings);
  // As when it listens: from then on the runtime knows which connections are idle.
  server.emit('listening');
  /** A connection on which nothing was said yet. */
  const dial = (): Duplex => {
    const [near, far] = duplexPair();
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
    server.emit('connection', far);
    return Object.assign(near, likeSocket);
  };
  const client = (who: TlsMaterial) => {
    const streams: TLSSocket[] = [];
    const { signal } = new AbortController();
    const dialled = async (): Promise<Duplex> => {
      const stream = await secure(dial(), who, signal);
      streams.push(stream);
      return stream;
    };
    const http = httpOver(Object.assign(dialled, { passOver: nothing }), true);
    ends.push(() => {
      http.close();
    });
    const send = (): Promise<IncomingMessage> => http.send({ method: 'GET', path: '/', signal });
    const ask = async (): Promise<{ readonly body: string; readonly connection: string | undefined }> => {
      const answer = await send();
      const said = { body: await text(answer), connection: answer.headers.connection };
      await turn();
      return said;
    };
    return { streams, ask };
  };
  ends.push(() => server.close());
  return { server, dial, client };
}
const yes: RequestListener = (_request, response) => void response.end('yes');

/** An answer that is under way until the test gives it. */
function slowly() {
  const come = Promise.withResolvers<undefined>();
  let answer: () => void = nothing;
  const listener: RequestListener = (_request, response) => {
    answer = () => response.end('late');
    come.resolve(undefined);
  };
  return {
    listener,
    come: come.promise,
    answer: () => {
      answer();
    },
  };
}

const noEnd = new Promise<void>(() => undefined);
/** Ends `server`, and knows whether it has ended. */
function ending(server: Server, grace: Partial<Grace> = {}) {
  const state = { ended: false };
  const done = closeServer(server, { over: noEnd, given: true, succession: 'none', ...grace }).then(() => {
    state.ended = true;
  });
  return { state, done };
}

describe('the server of the auth API', () => {
  it('knows who has a certificate of the cluster, and lets in who has none', async () => {
    const seen: [boolean, boolean][] = [];
    const { client } = rig((request, response) => {
      const { socket } = request;
      if (!(socket instanceof TLSSocket)) throw new Error('not a TLS socket');
      seen.push([socket.authorized, socket.getPeerX509Certificate() !== undefined]);
      response.end('yes');
    });
    expect((await client(proxy).ask()).body).toBe('yes');
    expect((await client(anyone).ask()).body).toBe('yes');
    expect(seen).toEqual([
      [true, true],
      [false, false],
    ]);
  });

  it('keeps a connection for longer than any client of ours does, and cuts no slow answer', () => {
    const { server } = rig(yes);
    // Clients give an idle one up after 90 s.
    expect(server.keepAliveTimeout).toBe(150 * second);
    expect(server.timeout).toBe(0);
  });

  it('waits for the head of a request and for all of it so long as it was told', () => {
    const { server } = rig(yes, { headersMs: 7_000, requestMs: 9_000 });
    expect([server.headersTimeout, server.requestTimeout]).toEqual([7_000, 9_000]);
    const usual = rig(yes).server;
    expect([usual.headersTimeout, usual.requestTimeout]).toEqual([20 * second, 60 * second]);
  });

  it('cuts who connects and says nothing', async () => {
    const { dial } = rig(yes, { greetingMs: 20 });
    const silent = dial();
    await new Promise((resolve) => silent.once('close', resolve));
  });

  it('shows other certificates from the next connection on, when it was given them', async () => {
    const { server, client } = rig(yes);
    const before = client(proxy);
    await before.ask();
    const auth = await openNow();
    const other = await issueHostIdentity(auth.deps, {
      ...{ hostId: authHostId, nodename: 'two', role: 'Auth', additionalPrincipals: [] },
    });
    server.setSecureContext(
      secureContextOf({ key: other.privateKeyPem, cert: other.tlsCertificatePem, ca: [] }),
    );
    expect((await before.ask()).body).toBe('yes');
    await expect(client(proxy).ask()).rejects.toThrow();
    const newer = client({ ...anyone, ca: authoritiesOf(auth.deps).host });
    expect((await newer.ask()).body).toBe('yes');
    await auth.close();
    await auth.log.close();
  });
});

describe('a server with many connections', () => {
  it('closes each with its next answer while they are more than that, and not when they are just so many', async () => {
    const { client, dial } = rig(yes, { crowdedFrom: 2 });
    const first = client(proxy);
    await first.ask();
    await client(anyone).ask();
    expect((await first.ask()).connection).toBe('keep-alive');
    const third = dial();
    await turn();
    expect((await first.ask()).connection).toBe('close');
    third.destroy();
    await turn();
    expect((await first.ask()).connection).toBe('keep-alive');
  });
});

describe('a server of the auth API that ends', () => {
  it('gives the answer that is under way, and is done when who got it has left', async () => {
    const { listener, come, answer } = slowly();
    const { server, client } = rig(listener);
    const one = client(proxy);
    const asked = one.ask();
    await come;
    const { state, done } = ending(server);
    await turn();
    expect(state.ended).toBe(false);
    answer();
    expect((await asked).body).toBe('late');
    one.streams[0]?.destroy();
    await done;
  });

  it('tells who asks meanwhile that the connection closes', async () => {
    const { server, client } = rig(yes);
    const one = client(proxy);
    expect((await one.ask()).connection).toBe('keep-alive');
    const { done } = ending(server);
    expect((await one.ask()).connection).toBe('close');
    await done;
  });

  it('cuts who is idle after a second, or at once when there is no grace', async () => {
    const graceful = rig(yes);
    const one = graceful.client(proxy);
    await one.ask();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    const cut = vi.spyOn(graceful.server, 'closeIdleConnections');
    const first = ending(graceful.server);
    await vi.advanceTimersByTimeAsync(999);
    for (let n = 0; n < 5; n++) await turn();
    expect(one.streams[0]?.destroyed).toBe(false);
    expect(cut).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    // And again by the runtime when the last connection has gone.
    expect(cut).toHaveBeenCalled();
    await first.done;
    expect(vi.getTimerCount()).toBe(0);

    const hasty = rig(yes);
    await hasty.client(proxy).ask();
    const second = ending(hasty.server, { given: false });
    await second.done;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits for an answer until its time is over, then cuts everybody, also in the middle of a handshake', async () => {
    const { listener, come } = slowly();
    const { server, client, dial } = rig(listener);
    const asked = client(proxy).ask();
    await come;
    const greeting = dial();
    const over = Promise.withResolvers<undefined>();
    const { state, done } = ending(server, { over: over.promise });
    for (let n = 0; n < 5; n++) await turn();
    expect(state.ended).toBe(false);
    over.resolve(undefined);
    await done;
    await expect(asked).rejects.toThrow();
    expect(greeting.destroyed).toBe(true);
  });

  it('waits ten seconds for an answer, however much time it was given', async () => {
    const { listener, come } = slowly();
    const { server, client } = rig(listener);
    const asked = client(proxy).ask();
    const lost = expect(asked).rejects.toThrow();
    await come;
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    // Seen where it is cut: streams that end by themselves later would end it, too.
    const cut = vi.spyOn(server, 'closeAllConnections');
    const { state, done } = ending(server);
    await vi.advanceTimersByTimeAsync(9_999);
    for (let n = 0; n < 5; n++) await turn();
    expect(state.ended).toBe(false);
    expect(cut).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(cut).toHaveBeenCalledOnce();
    await done;
    await lost;
  });
});
