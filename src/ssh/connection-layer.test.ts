import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireError } from '../pki/wire.ts';
import type { Channel } from './channel.ts';
import { noData, type IncomingOpen } from './connection-layer.ts';
import * as wire from './connection-messages.ts';
import { dataBytes, pair, type Side, text, WINDOW } from './testing.ts';

/** A pair with one channel open on it. */
async function opened(
  channelType = 'session',
): Promise<{ near: Channel; far: Channel; client: Side; server: Side }> {
  const { promise, resolve } = Promise.withResolvers<Channel>();
  const sides = pair({
    onOpen: (open) => {
      resolve(open.accept());
    },
  });
  const near = await sides.client.layer.openChannel(channelType, noData);
  return { ...sides, near, far: await promise };
}

describe('a channel', () => {
  it('carries data both ways, each to its own end', async () => {
    const { near, far } = await opened();
    near.end('question');
    expect(await text(far)).toBe('question');
    far.end('answer');
    expect(await text(near)).toBe('answer');
  });

  it('gives a peer no more than the window while nobody reads, and all once somebody does', async () => {
    const { near, far, client } = await opened();
    const size = 3 * WINDOW + 17;
    near.end(Buffer.alloc(size, 'x'));
    await new Promise(setImmediate);
    expect(dataBytes(client)).toBe(WINDOW);
    let got = 0;
    for await (const chunk of far) got += (chunk as Buffer).length;
    expect(got).toBe(size);
  });

  it('stdout and stderr share the window, and neither is lost or doubled', async () => {
    const { near, far } = await opened();
    far.eofAwaitsStderr = true;
    const ends = [text(near), text(near.stderr)] as const;
    for (let i = 0; i < 40; i++) {
      far.write(Buffer.alloc(20_000, 'o'));
      far.stderr.write(Buffer.alloc(20_000, 'e'));
    }
    await far.finish({ status: 'exited', code: 0 });
    const [out, err] = await Promise.all(ends);
    expect(out).toBe('o'.repeat(800_000));
    expect(err).toBe('e'.repeat(800_000));
  });

  it('an end does not overtake what still waits on stderr', async () => {
    const { near, far } = await opened();
    far.stderr.write(Buffer.alloc(2 * WINDOW, 'e'));
    far.end();
    near.resume();
    expect((await text(near.stderr)).length).toBe(2 * WINDOW);
  });

  it('waits for the socket', async () => {
    const { near, far, client } = await opened();
    client.writable = false;
    near.end('held back');
    await new Promise(setImmediate);
    expect(dataBytes(client)).toBe(0);
    client.writable = true;
    client.layer.pump();
    expect(await text(far)).toBe('held back');
  });

  it('keeps what came before its owner looked', async () => {
    const { promise, resolve } = Promise.withResolvers<IncomingOpen>();
    const { client } = pair({ onOpen: resolve });
    const asked = client.layer.openChannel('session', noData);
    const far = (await promise).accept();
    const near = await asked;
    near.end('early');
    await new Promise(setImmediate);
    expect(await text(far)).toBe('early');
  });

  it('finish sends everything, then the exit status, then closes', async () => {
    const { near, far, server } = await opened();
    far.write('last words');
    far.stderr.write('and these');
    await far.finish({ status: 'exited', code: 3 });
    expect(server.sent.map((m) => m[0])).toEqual([91, 94, 95, 96, 98, 97]);
    expect(await text(near)).toBe('last words');
    expect(await text(near.stderr)).toBe('and these');
    await near.gone;
  });

  it('finish ends also when the peer has gone before it read', async () => {
    const { near, far } = await opened();
    far.write(Buffer.alloc(2 * WINDOW));
    const finished = far.finish({ status: 'exited', code: 0 });
    near.destroy();
    await finished;
    await far.gone;
  });

  it('of bytes only is closed when both directions ended; a session waits for its exit status', async () => {
    for (const [type, closes] of [
      ['direct-tcpip', true],
      ['session', false],
    ] as const) {
      const { near, far, client } = await opened(type);
      near.resume().end();
      far.resume().end();
      await Promise.all([once(near, 'end'), once(far, 'end')]);
      await new Promise(setImmediate);
      expect(client.sent.some((m) => m[0] === 97)).toBe(closes);
    }
  });

  it('that is cut off closes without an end', async () => {
    const { near, client } = await opened();
    const events: string[] = [];
    near.resume();
    near.on('end', () => events.push('end')).on('close', () => events.push('close'));
    client.layer.lost();
    await near.gone;
    await new Promise(setImmediate);
    expect(events).toEqual(['close']);
  });

  it('that had ended before the line broke can still be read whole', async () => {
    const { near, far, client } = await opened();
    far.end('whole');
    await new Promise(setImmediate);
    client.layer.lost();
    expect(await text(near)).toBe('whole');
  });

  it('answers requests in their order, though they are decided in another', async () => {
    const { near, far } = await opened();
    const answers: ((ok: boolean) => void)[] = [];
    far.onRequest = (_name, _data, answer) => answers.push(answer);
    const asked = [near.request('a', noData), near.request('b', noData)];
    await new Promise(setImmediate);
    answers[1]?.(true);
    answers[0]?.(false);
    expect(await Promise.all(asked)).toEqual([false, true]);
  });

  it('refuses a request that nobody takes, and answers none after its end', async () => {
    const { near, far } = await opened();
    expect(await near.request('x', noData)).toBe(false);
    far.onRequest = () => undefined;
    const pending = near.request('y', noData);
    far.destroy();
    expect(await pending).toBe(false);
  });
});

describe('opening channels', () => {
  it('fails with the words of the peer', async () => {
    const { client } = pair();
    await expect(client.layer.openChannel('session', noData)).rejects.toMatchObject({
      code: 'access_denied',
      message: 'not here',
    });
    expect(client.layer.size).toBe(0);
  });

  it('is refused beyond the limit, and possible again after a close', async () => {
    const far: Channel[] = [];
    const { client, server } = pair({ maxChannels: 2, onOpen: (open) => far.push(open.accept()) });
    const open = (): Promise<Channel> => client.layer.openChannel('session', noData);
    const [first] = [await open(), await open()];
    await expect(open()).rejects.toMatchObject({ code: 'unavailable' });
    first.destroy();
    await far[0]?.gone;
    expect(server.layer.size).toBe(1);
    await open();
  });

  it('ends when the connection does', async () => {
    const { client, cut } = pair({ onOpen: () => undefined });
    const opening = client.layer.openChannel('session', noData);
    const asking = client.layer.globalRequest('x', noData);
    cut();
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    await expect(asking).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('accepting after the connection has gone gives a closed channel', async () => {
    const { promise, resolve } = Promise.withResolvers<IncomingOpen>();
    const { client, server } = pair({ onOpen: resolve });
    client.layer.openChannel('session', noData).catch((): undefined => undefined);
    const open = await promise;
    server.layer.lost();
    const channel = open.accept();
    await channel.gone;
    expect(channel.destroyed).toBe(true);
  });
});

describe('global requests', () => {
  it('answer the payload of success, and undefined for failure', async () => {
    const { client } = pair({
      onGlobalRequest: (name) => (name === 'version' ? Buffer.from('4.5.0') : undefined),
    });
    expect(String(await client.layer.globalRequest('version', noData))).toBe('4.5.0');
    expect(await client.layer.globalRequest('other', noData)).toBeUndefined();
  });
});

describe('a peer that breaks the rules', () => {
  it.each([
    ['data beyond the window', Buffer.concat([wire.dataHeader(0, WINDOW + 1), Buffer.alloc(WINDOW + 1)])],
    ['a window beyond all bounds', wire.windowAdjust(0, 0xffff_ffff)],
    ['a reply to nothing', wire.success(0)],
    ['an unknown channel', wire.eof(12)],
  ])('is told by WireError: %s', async (_name, message) => {
    const { server, far } = await opened();
    far.pause(); // somebody reads, though not now
    expect(() => {
      server.layer.receive(message);
    }).toThrow(WireError);
  });

  it('never causes any other error', () => {
    const message = fc
      .tuple(
        fc.integer({ min: 80, max: 100 }),
        fc.integer({ min: 0, max: 2 }),
        fc.uint8Array({ maxLength: 40 }),
      )
      .map(([type, channel, body]) => Buffer.concat([Buffer.of(type, 0, 0, 0, channel), body]));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
        const server = pair({
          transport: { send: () => undefined, sendData: () => 0, writable: () => true },
          onOpen: (open) => {
            open.accept().onRequest = (_name, _data, answer) => {
              answer(true);
            };
          },
        }).server;
        const channelType = 'session';
        server.layer.receive(wire.open({ channelType, sender: 0, window: 9, maxPacket: 512, data: noData }));
        try {
          for (const m of messages) server.layer.receive(m);
        } catch (e) {
          expect(e).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
