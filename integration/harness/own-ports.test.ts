import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from './run-program.ts';
import { freePorts, inTurn, reserve } from './own-ports.ts';

const ended: (() => void)[] = [];
afterEach(() => {
  for (const end of ended.splice(0)) end();
});

/** Another process that runs the lines, with what this module exports in `own`, and prints what they give. */
function another(lines: string): { said: Promise<string>; kill: () => Promise<unknown> } {
  const module = JSON.stringify(new URL('./own-ports.ts', import.meta.url).href);
  const program = `const own = await import(${module});
    console.log(JSON.stringify(await (async () => { ${lines} })()));
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  ended.push(() => child.kill('SIGKILL'));
  const said = once(createInterface(child.stdout), 'line').then(([line]) => line as string);
  return {
    said,
    kill: () => {
      const gone = once(child, 'close');
      child.kill('SIGKILL');
      return gone;
    },
  };
}

describe('what a test process reserves', () => {
  it('is its own until it ends, however it ends', async () => {
    const name = `trial ${process.pid}`;
    const other = another(`return own.reserve(${JSON.stringify(name)})`);
    expect(await other.said).toBe('true');
    expect(await reserve(name)).toBe(false);
    await other.kill();
    expect(await reserve(name)).toBe(true);
    expect(await another(`return own.reserve(${JSON.stringify(name)})`).said).toBe('false');
  });

  it('is let go after a turn, also one that fails', async () => {
    const name = `turn ${process.pid}`;
    const order: string[] = [];
    const refused = Promise.withResolvers<undefined>();
    const failing = inTurn(name, async () => {
      order.push('first');
      await refused.promise;
      order.push('first is done');
      throw new Error('as it should');
    });
    await until('the first turn', () => (order.length > 0 ? true : undefined));
    const second = inTurn(name, () => Promise.resolve(order.push('second')));
    // By when another process has been refused, the second of this one has been too.
    expect(await another(`return own.reserve(${JSON.stringify(name)})`).said).toBe('false');
    refused.resolve(undefined);
    await expect(failing).rejects.toThrow('as it should');
    await second;
    expect(order).toEqual(['first', 'first is done', 'second']);
  });
});

describe('free ports', () => {
  it('are given to no other process, and free to listen on', async () => {
    const others = [another('return own.freePorts(400)'), another('return own.freePorts(400)')];
    const ours = await freePorts(400);
    const all = [
      ours,
      ...(await Promise.all(others.map(({ said }) => said))).map((text) => JSON.parse(text) as number[]),
    ];
    expect(new Set(all.flat()).size).toBe(1_200);
    const server = createServer().listen(ours[0], '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });

  it('are none on which somebody listens, at any address', async () => {
    const [first = 0] = await freePorts(1);
    const server = createServer().listen(first + 1, '127.0.0.2');
    await once(server, 'listening');
    const [second = 0] = await freePorts(1);
    server.close();
    expect([0, first + 1]).not.toContain(second);
  });

  it('are none that the kernel gives to connections', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    expect(Math.max(...(await freePorts(50)))).toBeLessThan(port);
  });
});
