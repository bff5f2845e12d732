import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { boundHandshakes, type HandshakeLimits, turnedAwayAlert } from './handshake-gate.ts';
import type { Metrics } from './service.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const hello = Buffer.from([0x16, 3, 1, 0, 4, 1, 2, 3, 4]);
const limits: HandshakeLimits = { underWay: 1, waiting: 2, waitMs: 3_000, helloMs: 10_000, placeMs: 1_000 };
const turns = async (): Promise<void> => {
  for (let n = 0; n < 12; n++) await turn();
};

/** A server that computes nothing, and clients that come from one address each. */
function rig(some: Partial<HandshakeLimits> = {}) {
  const server = new EventEmitter() as unknown as Server;
  const counts = new Map<string, number>();
  const told: string[] = [];
  const metrics: Metrics = {
    add: (name, value, labels) => {
      const key = `${name} ${labels?.['outcome'] ?? ''}`;
      counts.set(key, (counts.get(key) ?? 0) + value);
    },
    set: () => undefined,
    observe: () => undefined,
  };
  const gate = boundHandshakes(server, {
    ...{ name: 'auth', metrics, monotonic: () => 0, limits: { ...limits, ...some } },
    sink: { warn: (message) => told.push(message), debug: () => undefined },
  });
  const begun: string[] = [];
  server.on('connection', (socket: Duplex & { remotePort: number }) => {
    begun.push(`${socket.remotePort} ${(socket.read() as Buffer | null)?.toString('hex') ?? ''}`);
  });
  let port = 0;
  const come = (said = hello, remoteAddress = '192.0.2.1') => {
    const [near, raw] = duplexPair();
    const far = Object.assign(raw, { remoteAddress, remotePort: ++port });
    far.once('close', () => near.destroy());
    const answers: Buffer[] = [];
    near.on('data', (data: Buffer) => answers.push(data));
    near.write(said);
    server.emit('connection', far);
    return { near, far, answers, port };
  };
  const count = (outcome: string): number => counts.get(`auth_handshakes_total ${outcome}`) ?? 0;
  return { server, gate, come, begun, count, told };
}
const hex = hello.toString('hex');

describe('handshakes of a server', () => {
  it('begin with all that has come when it is their turn, and the next one when one is done', async () => {
    const { server, come, begun, count } = rig();
    const [one, two] = [come(), come()];
    await turns();
    expect(begun).toEqual([`1 ${hex}`]);
    two.near.write('more');
    server.emit('secureConnection', one.far);
    await turns();
    expect(begun[1]).toBe(`2 ${hex}${Buffer.from('more').toString('hex')}`);
    server.emit('tlsClientError', new Error('no'), two.far);
    expect([count('begun'), count('done'), count('failed')]).toEqual([2, 1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('end with their connection', async () => {
    const { come, begun, count } = rig();
    const [one] = [come(), come()];
    await turns();
    one.far.destroy();
    await turns();
    expect([begun.length, count('failed')]).toEqual([2, 1]);
  });

  it('take no place before their client has begun, and are closed when it does not', async () => {
    const { come, begun } = rig();
    const silent = Array.from({ length: 5 }, () => come(hello.subarray(0, 6)));
    come();
    await turns();
    expect(begun).toEqual([`6 ${hex}`]);
    await vi.advanceTimersByTimeAsync(limits.helloMs);
    expect(silent.map(({ far }) => far.destroyed)).toEqual(silent.map(() => true));
  });

  it('give their place back after a second, when their client does not go on', async () => {
    const { come, begun, count } = rig();
    come();
    come();
    await turns();
    await vi.advanceTimersByTimeAsync(limits.placeMs - 1);
    await turns();
    expect(begun).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await turns();
    expect([begun.length, count('slow')]).toEqual([2, 1]);
  });

  it('are not begun for a client that has left meanwhile', async () => {
    const { server, come, begun, count } = rig();
    const one = come();
    await turns();
    const [two, three] = [come(), come()];
    await turns();
    two.near.end();
    three.far.destroy();
    await turns();
    server.emit('secureConnection', one.far);
    await turns();
    expect([begun.length, count('left'), two.far.destroyed]).toEqual([1, 2, true]);
    // And for one who had left before anybody looked.
    const four = come();
    four.near.end();
    await turns();
    expect([begun.length, count('left')]).toEqual([1, 3]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are refused by an alert, unread, when the line is full or the time is over', async () => {
    const { come, begun, count, told } = rig({ placeMs: 60_000 });
    come();
    await turns();
    const [waits, alsoWaits, late] = [come(), come(), come()];
    await turns();
    expect([late.answers, late.far.destroyed]).toEqual([[turnedAwayAlert], true]);
    expect([waits.far.destroyed, count('turned_away')]).toEqual([false, 1]);
    await vi.advanceTimersByTimeAsync(limits.waitMs);
    await turns();
    expect([waits.answers, alsoWaits.answers]).toEqual([[turnedAwayAlert], [turnedAwayAlert]]);
    expect([begun.length, count('turned_away')]).toEqual([1, 3]);
    expect(told).toHaveLength(1);
  });

  it('of another address come before those of one that has many under way', async () => {
    const { come, begun } = rig({ waiting: 10 });
    for (let n = 0; n < 4; n++) come();
    await turns();
    come(hello, '192.0.2.2');
    await turns();
    await vi.advanceTimersByTimeAsync(limits.placeMs);
    await turns();
    expect(begun.map((one) => one.split(' ')[0])).toEqual(['1', '5']);
  });

  it('from within the process do not wait, and who waits is closed with the service', async () => {
    const { server, gate, come, begun } = rig();
    come();
    await turns();
    const [, within] = duplexPair();
    server.emit('connection', within);
    expect(begun).toHaveLength(2);
    const [waits, silent] = [come(), come(Buffer.alloc(0))];
    await turns();
    gate.cutWaiting();
    await turns();
    expect([waits.far.destroyed, silent.far.destroyed]).toEqual([true, true]);
  });

  it('are judged by TLS where they begin as nothing that it knows', async () => {
    const { come, begun } = rig({ underWay: 2 });
    come(Buffer.from('GET / HTTP/1.1'));
    come(Buffer.from([0x16, 3, 1, 0xff, 0xff, 1]));
    await turns();
    expect(begun).toHaveLength(2);
  });
});
