import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Channel } from './channel.ts';
import { noData } from './connection-layer.ts';
import { parseExit } from './connection-messages.ts';
import { pair, text } from './testing.ts';

const mib = 1024 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function session(): Promise<{ client: Channel; server: Channel; told: string[] }> {
  const { promise, resolve } = Promise.withResolvers<Channel>();
  const sides = pair({
    onOpen: (open) => {
      resolve(open.accept());
    },
  });
  const client = await sides.client.layer.openChannel('session', noData);
  const told: string[] = [];
  client.onRequest = (name, data, answer) => {
    const exit = parseExit(name, data);
    told.push(exit?.status === 'exited' ? `exit ${exit.code}` : name);
    answer(true);
  };
  client.once('end', () => told.push('eof'));
  client.once('close', () => told.push('close'));
  return { client, server: await promise, told };
}

describe('how a command ended', () => {
  it('is told at once, once, and before what still comes of its output', async () => {
    const { client, server, told } = await session();
    const all = text(client);
    server.write('first');
    server.tellExit({ status: 'exited', code: 3 });
    await turn();
    expect(told).toEqual(['exit 3']);
    server.write(' later');
    await server.finish({ status: 'exited', code: 9 });
    expect(await all).toBe('first later');
    await client.gone;
    await turn();
    expect(told).toEqual(['exit 3', 'eof', 'close']);
  });
  it('is told at the end where nobody told it before', async () => {
    const { client, server, told } = await session();
    client.resume();
    server.tellExit({ status: 'unknown' });
    await server.finish({ status: 'exited', code: 4 });
    await client.gone;
    expect(told).toContain('exit 4');
  });
});

describe('output that nobody reads any more', () => {
  it('goes nowhere, also what waited for the window, while stderr goes on', async () => {
    const { client, server } = await session();
    client.pause();
    const written: string[] = [];
    server.write(Buffer.alloc(40 * mib), () => written.push('before'));
    await turn();
    expect(written).toEqual([]); // the window is smaller
    server.dropOutput();
    server.write(Buffer.alloc(mib), () => written.push('after'));
    await turn();
    await turn();
    expect(written).toEqual(['before', 'after']);
    client.resume(); // it throws away what was on its way, and gives back the window for it
    server.stderr.write('still here');
    const [said] = (await once(client.stderr, 'data')) as [Buffer];
    expect(said.toString()).toBe('still here');
    await server.finish({ status: 'exited', code: 0 });
    await client.gone;
  });
});
