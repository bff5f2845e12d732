import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import type { ReadableStream as NodeStream } from 'node:stream/web';
import { promisify } from 'node:util';
import type { HttpBindings } from '@hono/node-server';
import { Observable, Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { ClusterLog, EventLog } from '../log/event-log.ts';
import type { Followed, Recorded } from '../log/event.ts';
import { openTail } from './live-tail.ts';
import type { Caller, Who } from './operation.ts';
import { openRemoteLog, type RemoteLog } from './remote-log.ts';
import type { LogPolicy } from './served-logs.ts';
import { serveOperations } from './serve-operations.ts';
import { fakeWorld, recordingMetrics, recordingSink } from './testing.ts';

/** The parts of a log that the server reads. */
function tinyLog(): {
  log: EventLog;
  add: (type: string) => void;
  trimmed: { before: number };
  reads: number[];
} {
  const all: Recorded[] = [];
  const live = new Subject<Recorded>();
  const trimmed = { before: 0 };
  const reads: number[] = [];
  const log = {
    head: () => Promise.resolve(all.length),
    follow: (after: number) =>
      new Observable<Followed>((subscriber) => {
        for (const event of all.slice(after)) subscriber.next(event);
        return live.subscribe(subscriber);
      }),
    // eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable without I/O
    history: async function* (after: number) {
      if (after < trimmed.before) throw new CodedError('cursor_too_old', 'trimmed');
      for (const event of all.slice(after)) {
        reads.push(event.position);
        yield event;
      }
    },
    snapshot: (name: string) =>
      Promise.resolve(name === 'absent.1' ? undefined : { position: 2, state: { n: 1 } }),
  };
  return {
    log: log as unknown as EventLog,
    trimmed,
    reads,
    add: (type) => {
      const event: Recorded = {
        id: `e${all.length + 1}`,
        stream: 'user-alice',
        revision: all.length + 1,
        position: all.length + 1,
        cause: { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' },
        fact: { type, data: { n: all.length + 1 } },
        sealed: { password: { keyId: 'k', nonce: 'n', ciphertext: 'TOP-SECRET' } },
      };
      all.push(event);
      live.next(event);
    },
  };
}

const policy: LogPolicy = {
  followers: (partition) => (partition === 'state' ? ['Node'] : []),
  visible: (_who, _partition, event) => event.fact.type !== 'hidden',
  snapshotFor: (_who, _partition, name, state) => (name === 'users.1' ? state : undefined),
};
const node: Caller = { kind: 'host', hostId: 'h', role: 'Node', address: 'a' };

async function setUp(events: readonly string[], partition: 'state' | 'audit' = 'state') {
  const tiny = tinyLog();
  for (const type of events) tiny.add(type);
  const visible = (who: Who, event: Recorded): boolean => policy.visible(who, 'state', event);
  const tail = await openTail(tiny.log, { visible, maxEvents: 100 });
  const stopping = new AbortController();
  const app = serveOperations(
    [],
    {
      log: { state: tiny.log, presence: tiny.log, audit: tiny.log } as unknown as ClusterLog,
      tails: { state: tail, presence: tail, audit: tail },
      policy,
      keepAliveMs: 1_000,
      stopping: stopping.signal,
    },
    { callerOf: () => node, world: fakeWorld(), sink: recordingSink(), metrics: recordingMetrics() },
  );
  const link: { up: boolean; stalled: boolean; open: Set<Readable>; paths: string[]; bytes: string } = {
    up: true,
    stalled: false,
    open: new Set(),
    paths: [],
    bytes: '',
  };
  const get = async (path: string, signal: AbortSignal): Promise<IncomingMessage> => {
    if (!link.up) throw new CodedError('unavailable', 'no auth server answers');
    link.paths.push(path);
    // Stands for the answer's socket: takes a chunk or two until it is read.
    const outgoing = Object.assign(new PassThrough(), {
      writeHead: () => undefined,
      removeHeader: () => undefined,
    });
    const env = { incoming: {}, outgoing } as unknown as HttpBindings;
    const response = await app.request(path, {}, env);
    const sent = response.headers.has('x-hono-already-sent');
    const source = sent ? outgoing : Readable.fromWeb(response.body as NodeStream<Uint8Array>);
    const chunks = source[Symbol.asyncIterator]();
    const next = async (): Promise<Buffer | null> => {
      const { value } = (await chunks.next()) as { value?: Uint8Array };
      while (link.stalled) await new Promise((resolve) => setTimeout(resolve, 100));
      link.bytes += value ? Buffer.from(value).toString() : '';
      return value ? Buffer.from(value) : null;
    };
    const body = new Readable({
      read: () => {
        next().then(
          (chunk) => body.push(chunk),
          () => body.push(null),
        );
      },
      destroy: (e, done) => {
        source.destroy();
        done(e);
      },
    });
    link.open.add(body);
    body.on('error', () => undefined);
    signal.addEventListener('abort', () => body.destroy(new Error('aborted')));
    return Object.assign(body, { statusCode: response.status }) as unknown as IncomingMessage;
  };
  const sink = recordingSink();
  const remote = openRemoteLog({
    partition,
    get,
    world: fakeWorld(),
    sink,
    silentMs: 5_000,
    monotonic: () => performance.now(),
  });
  remotes.push(remote);
  return { ...tiny, remote, link, sink, stopping, tail };
}

const remotes: RemoteLog[] = [];
beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => {
  for (const remote of remotes.splice(0)) remote.close();
  vi.useRealTimers();
});

function collect(remote: RemoteLog, after = 0) {
  const got: string[] = [];
  let ended = '';
  const subscription = remote.follow(after).subscribe({
    next: (e) => got.push(e.fact ? `${e.position}:${e.fact.type}` : `${e.position}`),
    error: (e: unknown) => (ended = e instanceof CodedError ? e.code : String(e)),
    complete: () => (ended = 'complete'),
  });
  return {
    got,
    ended: () => ended,
    unsubscribe: () => {
      subscription.unsubscribe();
    },
  };
}
const settle = promisify(setImmediate);
/** Moves the clock, 50 ms at a time, until it is so. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 50 });
/** Moves the clock, and lets the streams do their part of each step. */
async function turn(ms = 50): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    await vi.advanceTimersByTimeAsync(Math.min(left, 250));
    await settle();
    await settle();
  }
}

describe('following the log from afar', () => {
  it('gives history, then live, with marks where something is hidden and no secret anywhere', async () => {
    const { remote, add, link } = await setUp(['a', 'hidden', 'b', 'hidden']);
    const { got } = collect(remote);
    await turn();
    expect(got).toEqual(['1:a', '3:b', '4']);
    add('c');
    add('hidden');
    await turn();
    expect(got).toEqual(['1:a', '3:b', '4', '5:c', '6']);
    expect(link.bytes).not.toContain('TOP-SECRET');
    expect(remote.connection()).toEqual({ status: 'connected' });
    expect(remote.headSeen()).toBe(6);
  });

  it('shares one stream among readers, also those that meet on the way', async () => {
    const { remote, add, link } = await setUp(['a', 'b', 'c']);
    const first = collect(remote);
    const second = collect(remote);
    const third = collect(remote, 2);
    await turn();
    expect(link.paths).toEqual(['/v3/log/state?after=0', '/v3/log/state?after=2']);
    expect([...link.open].filter((body) => !body.destroyed)).toHaveLength(1);
    add('d');
    await turn();
    expect(first.got).toEqual(['1:a', '2:b', '3:c', '4:d']);
    expect(second.got).toEqual(first.got);
    expect(third.got).toEqual(['3:c', '4:d']);
  });

  it('goes on from its last position when the link breaks, reading nothing twice', async () => {
    const { remote, add, link, sink } = await setUp(['a', 'b']);
    const { got } = collect(remote);
    await turn();
    link.up = false;
    for (const body of link.open) body.destroy(new Error('ECONNRESET'));
    await turn();
    expect(remote.connection()).toMatchObject({ status: 'away' });
    add('c');
    await until(() => {
      expect(remote.connection()).toMatchObject({ status: 'away', reason: 'no auth server answers' });
    });
    link.up = true;
    await until(() => {
      expect(remote.connection()).toEqual({ status: 'connected' });
      expect(got).toEqual(['1:a', '2:b', '3:c']);
    });
    expect(link.paths.at(-1)).toBe('/v3/log/state?after=2');
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1);
  });

  it('takes a link that falls silent for dead', async () => {
    const { remote, link } = await setUp(['a']);
    collect(remote);
    await turn();
    await turn(20_000);
    expect(remote.connection()).toEqual({ status: 'connected' });
    expect(link.paths).toHaveLength(1);
    link.stalled = true;
    await turn(4_000);
    expect(remote.connection()).toEqual({ status: 'connected' });
    await until(() => {
      expect(remote.connection()).toMatchObject({ reason: 'the auth server was silent for 5000 ms' });
    });
    link.stalled = false;
    await until(() => {
      expect(remote.connection()).toEqual({ status: 'connected' });
    });
  });

  it('ends with cursor_too_old when what it needs was trimmed, or is of another log', async () => {
    const { remote, trimmed } = await setUp(['a', 'b', 'c']);
    trimmed.before = 2;
    const old = collect(remote, 1);
    const future = collect(remote, 99);
    await turn();
    expect([old.ended(), future.ended()]).toEqual(['cursor_too_old', 'cursor_too_old']);
  });

  it('tries on, and says why, when it is refused', async () => {
    const { remote } = await setUp(['a'], 'audit');
    const { ended } = collect(remote);
    await turn();
    expect(remote.connection()).toMatchObject({ reason: 'the audit log is not open to node:h' });
    expect(ended()).toBe('');
  });

  it('ends its stream with its last reader, and completes readers when closed', async () => {
    const { remote, link } = await setUp(['a']);
    const first = collect(remote);
    await turn();
    first.unsubscribe();
    await turn();
    expect([...link.open].every((body) => body.destroyed)).toBe(true);
    const second = collect(remote);
    remote.close();
    expect(second.ended()).toBe('complete');
    expect(collect(remote).ended()).toBe('complete');
  });

  it('ends every stream when the server stops', async () => {
    const { remote, stopping } = await setUp(['a']);
    collect(remote);
    await turn();
    stopping.abort();
    await turn(20);
    expect(remote.connection()).toMatchObject({ reason: 'the auth server ended the stream' });
  });

  it('reads no more of the store than a slow reader takes', async () => {
    const { remote, link, reads } = await setUp(Array.from({ length: 5_000 }, () => 'x'));
    link.stalled = true;
    const { got } = collect(remote);
    await turn(1_000);
    expect(got).toEqual([]);
    expect(reads.length).toBeLessThan(1_000);
    link.stalled = false;
    await turn(1_000);
    expect(got).toHaveLength(5_000);
  });
});

describe('reading a stored state from afar', () => {
  it('gives what may be seen, and undefined for the rest', async () => {
    const { remote } = await setUp(['a', 'b']);
    expect(await remote.snapshot('users.1')).toEqual({ position: 2, state: { n: 1 } });
    expect(await remote.snapshot('secrets.1')).toBeUndefined();
    expect(await remote.snapshot('absent.1')).toBeUndefined();
  });

  it('waits for an auth server that is away', async () => {
    const { remote, link } = await setUp(['a', 'b']);
    link.up = false;
    const snapshot = remote.snapshot('users.1');
    await turn(1_000);
    link.up = true;
    expect(await snapshot).toMatchObject({ position: 2 });
  });
});
