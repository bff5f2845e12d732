import { describe, expect, it } from 'vitest';
import type { Channel } from './channel.ts';
import { noData, type ConnectionLayerOptions, type IncomingOpen } from './connection-layer.ts';
import { windowLimits, WindowPool } from './receive-window.ts';
import { dataBytes, pair, text } from './testing.ts';

describe('a channel of a server', () => {
  const mib = 1024 * 1024;
  /**
   * A server's side of which the windows come from a pool; it answers its channels in the order of opening.
   */
  function pooled(wish: Partial<ConnectionLayerOptions> = {}) {
    const pool = new WindowPool(windowLimits(1024 * mib, 2 * mib));
    const windows = pool.connection();
    const opens: IncomingOpen[] = [];
    const sides = pair({
      openWindow: () => windows.open(),
      onOpen: (open) => {
        opens.push(open);
      },
      ...wish,
    });
    const openOne = async (): Promise<{ near: Channel; far: Channel }> => {
      const opening = sides.client.layer.openChannel('session', noData);
      await new Promise(setImmediate);
      const far = opens.shift()?.accept();
      if (far === undefined) throw new Error('no channel was asked for');
      return { near: await opening, far };
    };
    return { ...sides, pool, opens, openOne };
  }
  it('grants little while nobody reads, all of it once somebody does, and gives it back', async () => {
    const { client, openOne, pool } = pooled();
    const { near, far } = await openOne();
    near.end(Buffer.alloc(9 * mib, 'x'));
    await new Promise(setImmediate);
    expect(dataBytes(client)).toBe(64 * 1024);
    let got = 0;
    for await (const chunk of far) got += (chunk as Buffer).length;
    expect(got).toBe(9 * mib);
    far.destroy();
    await new Promise(setImmediate);
    expect(pool.held).toBe(0);
  });

  it('passes on what came in small pieces in order, and before the end', async () => {
    const { openOne } = pooled();
    const { near, far } = await openOne();
    for (let n = 0; n < 500; n++) near.write(`${n},`);
    near.end('end');
    expect(await text(far)).toBe(`${Array.from({ length: 500 }, (_, n) => `${n},`).join('')}end`);
  });

  it('holds nothing for a channel that is refused, nor for a connection that is gone', async () => {
    const { client, server, openOne, opens, pool } = pooled();
    const refused = client.layer.openChannel('session', noData);
    await new Promise(setImmediate);
    opens.shift()?.reject('prohibited', 'no');
    await expect(refused).rejects.toMatchObject({ code: 'access_denied' });
    expect(pool.held).toBe(0);
    const { near } = await openOne(); // nobody reads at its far end
    near.write(Buffer.alloc(10_000));
    void client.layer.openChannel('session', noData).catch(() => undefined); // never answered
    await new Promise(setImmediate);
    expect(pool.held).toBeGreaterThan(0);
    server.layer.lost();
    expect(pool.held).toBe(0);
  });

  it('goes on counting what a reader has not taken yet of a connection that is gone', async () => {
    const { server, openOne, pool } = pooled();
    const { near, far } = await openOne();
    far.on('data', () => far.pause());
    near.end(Buffer.alloc(40_000));
    await new Promise(setImmediate);
    server.layer.lost();
    expect(pool.held).toBeGreaterThan(0);
    far.removeAllListeners('data').resume();
    await new Promise((resolve) => far.once('close', resolve));
    expect(pool.held).toBe(0);
  });

  it('forgets what lay unread on a channel that was closed, once the connection is gone', async () => {
    const { server, openOne, pool } = pooled();
    const { near } = await openOne(); // nobody reads at its far end
    near.write(Buffer.alloc(40_000));
    near.destroy();
    await new Promise(setImmediate);
    expect(server.layer.size).toBe(0);
    expect(pool.held).toBe(40_000);
    server.layer.lost();
    expect(pool.held).toBe(0);
  });

  it('refuses a channel for which there is no room', async () => {
    const { client } = pooled({ openWindow: () => undefined });
    await expect(client.layer.openChannel('session', noData)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
