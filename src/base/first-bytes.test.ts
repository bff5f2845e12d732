import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lookAtConnections, readFirstBytes } from './first-bytes.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the first bytes of a connection', () => {
  const begin = (late?: () => void) => {
    const [near, far] = duplexPair();
    const waiting = new Set<Duplex>();
    const found: string[] = [];
    readFirstBytes(far, {
      read: (first) => (first.includes('.') ? 'whole' : undefined),
      found: (meaning, first) => found.push(`${meaning} ${first.toString()}`),
      ...{ limitMs: 1_000, waiting, ...(late && { late }) },
    });
    return { near, far, waiting, found };
  };

  it('are given once they mean something, and the connection is left alone from then on', async () => {
    const { near, far, waiting, found } = begin();
    near.write('ab');
    await turn();
    expect([found, waiting.has(far)]).toEqual([[], true]);
    near.write('c.');
    await turn();
    await vi.advanceTimersByTimeAsync(5_000);
    expect([found, waiting.size, far.destroyed]).toEqual([['whole abc.'], 0, false]);
  });

  it('end the connection that ends before, or is late, which is told first', async () => {
    const left = begin();
    left.near.end('ab');
    for (let n = 0; n < 5; n++) await turn();
    expect([left.found, left.far.destroyed, left.waiting.size]).toEqual([[], true, 0]);
    const told: boolean[] = [];
    const slow = begin(() => told.push(slow.far.destroyed));
    await vi.advanceTimersByTimeAsync(1_000);
    expect([told, slow.far.destroyed]).toEqual([[false], true]);
  });
});

it('a connection is looked at before its server sees it, by whoever asked for it last first', () => {
  const server = new EventEmitter() as unknown as Server;
  const seen: string[] = [];
  server.on('connection', () => seen.push('the server'));
  server.on('listening', () => seen.push('listening'));
  let goOn = (): void => undefined;
  lookAtConnections(server, (_connection, pass) => {
    seen.push('one');
    goOn = pass;
  });
  lookAtConnections(server, (_connection, pass) => {
    seen.push('another');
    pass();
  });
  server.emit('listening');
  server.emit('connection', duplexPair()[0] as never);
  expect(seen).toEqual(['listening', 'another', 'one']);
  goOn();
  expect(seen.at(-1)).toBe('the server');
});
