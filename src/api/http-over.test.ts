import { createServer, type RequestListener } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { httpOver } from './http-over.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** What the runtime's client asks of a socket beside reading and writing. */
const nothing = (): void => undefined;
const likeSocket = { setTimeout: nothing, setKeepAlive: nothing, ref: nothing, unref: nothing };

/** A client of a server without a network; `dialled` has the far end of each connection. */
function rig(listener: RequestListener) {
  const server = createServer(listener);
  const dialled: Duplex[] = [];
  const dial = (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    near.once('close', () => far.destroy());
    dialled.push(far);
    server.emit('connection', far);
    return Promise.resolve(Object.assign(near, likeSocket));
  };
  const client = httpOver(Object.assign(dial, { passOver: () => undefined }), true);
  closers.push(() => {
    client.close();
  });
  const { signal } = new AbortController();
  const ask = async (): Promise<string> => text(await client.send({ method: 'GET', path: '/', signal }));
  return { client, dialled, ask };
}
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a client that is to dial again', () => {
  it('uses one connection for one request after the other until then, and another from then on', async () => {
    const { client, dialled, ask } = rig((_request, response) => response.end('yes'));
    await ask();
    await settle();
    await ask();
    await settle();
    expect(dialled).toHaveLength(1);
    expect(client.open()).toHaveLength(1);
    client.dialAgain();
    expect(client.open()).toEqual([]);
    await settle();
    expect(dialled[0]?.destroyed).toBe(true);
    expect(await ask()).toBe('yes');
    expect(dialled).toHaveLength(2);
  });

  it('loses no request that is under way, and closes its connection after the answer', async () => {
    let answer: () => void = () => undefined;
    const { client, dialled, ask } = rig((_request, response) => {
      answer = () => response.end('late');
    });
    const underWay = ask();
    for (let n = 0; n < 20 && dialled.length === 0; n++) await settle();
    for (let n = 0; n < 5; n++) await settle();
    client.dialAgain();
    expect(dialled[0]?.destroyed).toBe(false);
    answer();
    expect(await underWay).toBe('late');
    for (let n = 0; n < 5; n++) await settle();
    expect(dialled[0]?.destroyed).toBe(true);
    const next = ask();
    for (let n = 0; n < 20 && dialled.length < 2; n++) await settle();
    for (let n = 0; n < 5; n++) await settle();
    answer();
    expect(await next).toBe('late');
  });
});
