import { EventEmitter } from 'node:events';
import type { Server, Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../api/testing.ts';
import { minute } from '../base/duration.ts';
import { ProcessStrangers, strangersLimit } from './strangers.ts';

interface FakeSocket extends EventEmitter {
  destroyed: boolean;
}

function bench(max: number) {
  const sink = recordingSink();
  const metrics = recordingMetrics();
  let now = 0;
  const headers: string[] = [];
  const strangers = new ProcessStrangers({
    sink,
    metrics,
    isBalancer: (ip) => ip === '10.0.0.1',
    monotonic: () => now,
    refusedHeaders: {
      count: (listener, reason, { remoteAddress }) =>
        void headers.push(`${listener} ${reason} ${remoteAddress ?? ''}`),
    },
    max,
  });
  const servers = new Map<string, EventEmitter>(
    ['node', 'auth'].map((name) => [name, new EventEmitter()] as const),
  );
  for (const [name, server] of servers) strangers.watch(name, server as unknown as Server);
  let port = 0;
  const come = (remoteAddress: string | undefined, listener = 'node'): FakeSocket & Socket => {
    const ends = { remoteAddress, remotePort: ++port, localAddress: '127.0.0.1', localPort: 22 };
    const socket = Object.assign(new EventEmitter(), ends, {
      destroyed: false,
      destroy: () => {
        socket.destroyed = true;
        socket.emit('close');
      },
    });
    servers.get(listener)?.emit('connection', socket);
    return socket as unknown as FakeSocket & Socket;
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { strangers, come, sink, metrics, pass, headers, servers };
}
const cut = (sockets: readonly FakeSocket[]): number => sockets.filter(({ destroyed }) => destroyed).length;

describe('who has not logged in', () => {
  it('is counted over all listeners, an IPv6 network as one', () => {
    const { come } = bench(4);
    const network = [come('2001:db8::1'), come('2001:db8::2', 'auth'), come('2001:db8::3')];
    const other = come('192.0.2.1');
    come('192.0.2.2', 'auth');
    expect([cut(network), network[0]?.destroyed, other.destroyed]).toEqual([1, true, false]);
  });

  it('is counted before a service that looks at his first bytes lets its server see him', () => {
    const { strangers, come, servers } = bench(2);
    const looking = new EventEmitter();
    looking.emit = () => true; // nothing has come yet
    servers.set('looking', looking);
    strangers.watch('looking', looking as unknown as Server);
    const silent = [come('192.0.2.1', 'looking'), come('192.0.2.1', 'looking'), come('192.0.2.1', 'looking')];
    expect(cut(silent)).toBe(1);
  });

  it('counts no more once he is known, by the connection or by the TLS on it', () => {
    const { strangers, come } = bench(2);
    const known = come('192.0.2.1', 'auth');
    strangers.recognised(overTls(known));
    const others = [come('192.0.2.1'), come('192.0.2.1')];
    expect([known.destroyed, cut(others)]).toEqual([false, 0]);
    come('192.0.2.1');
    expect([known.destroyed, cut(others)]).toEqual([false, 1]);
  });

  it('counts with the address that his proxy names', () => {
    const { strangers, come } = bench(3);
    const ofProxy = [come('10.9.9.9'), come('10.9.9.9')];
    ofProxy.forEach((socket, n) => {
      strangers.comesFrom(socket, `192.0.2.${n}`);
    });
    const attacker = come('198.51.100.1');
    come('198.51.100.1');
    expect([cut(ofProxy), attacker.destroyed]).toEqual([0, true]);
  });

  it('is counted with the listener where he brought a header that nobody expects', () => {
    const { strangers, come, headers } = bench(4);
    strangers.broughtHeader(come('192.0.2.1', 'auth'));
    strangers.broughtHeader(overTls(come('192.0.2.2')));
    expect(headers).toEqual(['auth unexpected 192.0.2.1', 'node unexpected 192.0.2.2']);
  });

  it('behind a balancer counts each for himself', () => {
    const { come } = bench(4);
    const balanced = [come('10.0.0.1'), come('::ffff:10.0.0.1'), come('10.0.0.1')];
    const attacker = come('198.51.100.1');
    come('198.51.100.1');
    expect([cut(balanced), attacker.destroyed]).toEqual([0, true]);
  });

  it('from within this process is no stranger', () => {
    const { come } = bench(1);
    const within = come(undefined);
    come('192.0.2.1');
    expect(within.destroyed).toBe(false);
  });

  it('is told of in the log once a minute, and in the metrics each', () => {
    const { come, sink, metrics, pass } = bench(1);
    for (let n = 0; n < 10; n++) come('192.0.2.1');
    expect(sink.lines).toHaveLength(1);
    expect(sink.lines[0]).toContain('"busiest":"192.0.2.1"');
    pass(minute);
    come('192.0.2.1');
    expect(sink.lines).toHaveLength(2);
    expect(metrics.counters.get('connections_cut_before_login_total{"listener":"node"}')).toBe(10);
  });
});

describe('how many may wait', () => {
  it.each([
    [600, 166],
    [1_024, 308],
    [20_000, 4_096],
    [Number.POSITIVE_INFINITY, 4_096],
    [64, 16],
  ])('of %s descriptors, %s', (descriptors, limit) => {
    expect(strangersLimit(descriptors)).toBe(limit);
  });
});

/** Another object with the same ends. */
const overTls = (socket: Socket): Socket => {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return Object.assign(new EventEmitter(), {
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
  }) as unknown as Socket;
};
