import { createHash, randomBytes } from 'node:crypto';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { Fetching, type Get } from './fetch-snapshot.ts';
import { NoAnswerInTime } from './no-answer.ts';
import { transfers } from './send-snapshot.ts';
import type { SnapshotBody } from './snapshot-bodies.ts';

/** Hardly compressible, so that a transfer has many slices. */
const text = JSON.stringify({ position: 1, state: randomBytes(3_000_000).toString('hex') });
const bodyOf = (bytes: Buffer, encoding: SnapshotBody['encoding'] = 'identity'): SnapshotBody => ({
  ...{ bytes, encoding, etag: `"${createHash('sha256').update(bytes).digest('hex')}"` },
});
const compressed = bodyOf(gzipSync(text), 'gzip');

let server: Server;
let answer: (asked: IncomingMessage, outgoing: ServerResponse) => void;
const asked: IncomingMessage['headers'][] = [];
const sockets = new Set<Socket>();

beforeEach(async () => {
  asked.length = 0;
  server = createServer((incoming, outgoing) => {
    asked.push(incoming.headers);
    answer(incoming, outgoing);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  server.close();
});

const get: Get = (path, signal, headers = {}) =>
  new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const outgoing = request({ host: '127.0.0.1', port, path, signal, headers: { ...headers } });
    outgoing.once('response', resolve).once('error', reject).end();
  });
const never = new AbortController().signal;
const nothing = (): void => undefined;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** As the server does it: from where the caller says, of what it has a part of. */
const sending =
  (body: SnapshotBody, sent = transfers(() => performance.now())) =>
  ({ headers }: IncomingMessage, outgoing: ServerResponse): void => {
    const from = headers['if-range'] === body.etag ? Number(/\d+/.exec(headers.range ?? '')?.[0]) : 0;
    sent.send(body, from, outgoing);
  };

describe('a snapshot on its way', () => {
  it('arrives compressed, and is what was sent', async () => {
    answer = sending(compressed);
    const fetching = new Fetching('/', get);
    expect(await fetching.attempt(never, nothing)).toEqual({ status: 200, body: text });
    expect(asked[0]).toMatchObject({ 'accept-encoding': 'gzip' });
  });

  it('goes on where it broke, over another connection', async () => {
    answer = sending(compressed);
    const fetching = new Fetching('/', get);
    const broken = fetching.attempt(never, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > compressed.bytes.length / 2) response.destroy(new Error('cut'));
      });
    });
    await expect(broken).rejects.toThrow();
    let rest = 0;
    const whole = await fetching.attempt(never, (response) => {
      rest = Number(response.headers['content-length']);
    });
    expect(whole).toEqual({ status: 200, body: text });
    expect(asked[1]).toMatchObject({ 'if-range': compressed.etag });
    expect(rest).toBeLessThanOrEqual(compressed.bytes.length / 2);
  });

  it('begins again where the server no longer has what broke', async () => {
    const later = bodyOf(Buffer.from('{"position":2,"state":[]}'));
    answer = sending(compressed);
    const fetching = new Fetching('/', get);
    const broken = fetching.attempt(never, (response) => {
      response.once('data', () => response.destroy(new Error('cut')));
    });
    await expect(broken).rejects.toThrow();
    answer = sending(later);
    expect(await fetching.attempt(never, nothing)).toEqual({
      status: 200,
      body: '{"position":2,"state":[]}',
    });
  });

  it.each([
    ['another answer', { etag: '"another"', 'content-range': 'bytes 7-8/9' }],
    ['another place', { etag: compressed.etag, 'content-range': 'bytes 7-8/9' }],
  ])('is not put together from %s', async (_, headers) => {
    answer = sending(compressed);
    const fetching = new Fetching('/', get);
    const broken = fetching.attempt(never, (response) => {
      response.once('data', () => response.destroy(new Error('cut')));
    });
    await expect(broken).rejects.toThrow();
    answer = (_incoming, outgoing) => outgoing.writeHead(206, headers).end('xx');
    await expect(fetching.attempt(never, nothing)).rejects.toMatchObject({ code: 'unavailable' });
    answer = sending(compressed);
    expect(await fetching.attempt(never, nothing)).toEqual({ status: 200, body: text });
    expect(asked[2]).not.toHaveProperty('range');
  });

  it('is refused when it does not unfold', async () => {
    answer = sending(bodyOf(Buffer.from('not compressed'), 'gzip'));
    await expect(new Fetching('/', get).attempt(never, nothing)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  it('may take as long as it wants, as long as something comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    answer = (_incoming, outgoing) => {
      outgoing.writeHead(200);
      const slowly = (left: number): void => {
        if (left === 0) outgoing.end();
        else {
          outgoing.write('x');
          setTimeout(slowly, 50_000, left - 1);
        }
      };
      slowly(5);
    };
    const arrived = new Fetching('/', get).attempt(never, nothing);
    const ended = new Set<string>();
    arrived.finally(() => ended.add('arrived')).catch(nothing);
    while (ended.size === 0) {
      await vi.advanceTimersByTimeAsync(10_000);
      for (let n = 0; n < 20; n++) await turn();
    }
    expect(await arrived).toEqual({ status: 200, body: 'xxxxx' });
  });

  it('is given up when nothing comes for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    answer = (_incoming, outgoing) => outgoing.writeHead(200).write('x');
    const silent = expect(new Fetching('/', get).attempt(never, nothing)).rejects.toBeInstanceOf(
      NoAnswerInTime,
    );
    while (asked.length === 0) await turn();
    await vi.advanceTimersByTimeAsync(61_000);
    await silent;
  });
});

describe('the sender of snapshots', () => {
  it('holds a slice for a slow reader, not all of it, and leaves one that takes nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let outgoing: ServerResponse | undefined;
    const body = bodyOf(Buffer.alloc(50 * 1024 * 1024));
    const sent = transfers(() => performance.now(), 1);
    answer = (_incoming, to) => {
      outgoing = to;
      sent.send(body, 0, to);
    };
    const { port } = server.address() as AddressInfo;
    // It reads the head of the answer and nothing more.
    const reader = request({ host: '127.0.0.1', port, path: '/' });
    reader.on('error', nothing).end();
    const response = await new Promise<IncomingMessage>((resolve) => reader.once('response', resolve));
    response.pause();
    response.on('error', nothing);
    for (let n = 0; n < 200; n++) await turn();
    expect(outgoing?.writableLength).toBeLessThan(512 * 1024);
    const closed = new Promise((resolve) => outgoing?.once('close', resolve));
    await vi.advanceTimersByTimeAsync(61_000);
    await closed;
    await turn();
    // Its place is free.
    answer = sending(compressed, sent);
    expect((await new Fetching('/', get).attempt(never, nothing)).body).toBe(text);
  });

  it('tells those who are too many when to come, one after the other', () => {
    let now = 0;
    const sent = transfers(() => now, 2);
    const held = {
      removeHeader: nothing,
      destroy: nothing,
      writeHead: nothing,
      write: () => false,
      once: () => held,
      off: () => held,
    };
    const outgoing = held as unknown as ServerResponse;
    const body = bodyOf(Buffer.alloc(100_000));
    sent.send(body, 0, outgoing);
    sent.send(body, 0, outgoing);
    const waits = Array.from({ length: 5 }, () => {
      try {
        sent.send(body, 0, outgoing);
        return undefined;
      } catch (e) {
        return e instanceof CodedError && e.code === 'limit_exceeded' ? e.retryAfterMs : undefined;
      }
    });
    // Half a second for each, two at a time.
    expect(waits).toEqual([750, 1_000, 1_250, 1_500, 1_750]);
    now += 10_000;
    expect(() => {
      sent.send(body, 0, outgoing);
    }).toThrow('2 snapshots are being sent: ask again in 1 s');
  });
});
