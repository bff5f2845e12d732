import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import type { ReadableStream as NodeStream } from 'node:stream/web';
import { promisify } from 'node:util';
import type { HttpBindings } from '@hono/node-server';
import { Observable, Subject } from 'rxjs';
import { afterEach, beforeEach, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { ClusterLog, EventLog, Wanted } from '../log/event-log.ts';
import type { Followed, Recorded } from '../log/event.ts';
import { type LiveTail, openTail } from './live-tail.ts';
import type { Caller, Who } from './operation.ts';
import { openRemoteLog, type RemoteLog } from './remote-log.ts';
import type { LogPolicy } from './served-logs.ts';
import { serveOperations } from './serve-operations.ts';
import { fakeWorld, recordingMetrics, recordingSink, noLimits } from './testing.ts';

interface TinyLog {
  log: EventLog;
  add: (type: string) => void;
  trimmed: { before: number };
  reads: number[];
  /** Set while the store does not answer. */
  store: { away: CodedError | undefined };
  /** Fails the readers that follow it. */
  fail: (e: CodedError) => void;
  /** The store is restored to an earlier state. */
  putBackTo: (position: number) => void;
}

/** The parts of a log that the server reads. */
function tinyLog(): TinyLog {
  const all: Recorded[] = [];
  let branch = '';
  let live = new Subject<Recorded>();
  const store: TinyLog['store'] = { away: undefined };
  const trimmed = { before: 0 };
  const reads: number[] = [];
  const log = {
    head: () => (store.away ? Promise.reject(store.away) : Promise.resolve(all.length)),
    holds: (position: number, id: string) => Promise.resolve(all[position - 1]?.id === id),
    positionBefore: () => Promise.resolve(trimmed.before),
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
    store,
    fail: (e) => {
      const before = live;
      live = new Subject();
      before.error(e);
    },
    putBackTo: (position) => {
      all.length = position;
      branch += "'";
    },
    add: (type) => {
      const event: Recorded = {
        id: `e${all.length + 1}${branch}`,
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

interface Link {
  up: boolean;
  stalled: boolean;
  open: Set<Readable>;
  paths: string[];
  bytes: string;
}

/** A log, a server of it, and a remote log on a link that a test can break. */
export interface Trial extends TinyLog {
  remote: RemoteLog;
  link: Link;
  sink: ReturnType<typeof recordingSink>;
  stopping: AbortController;
  tail: LiveTail;
  server: {
    trouble: string | undefined;
    passedOver: number;
    ageMs: number;
    /** Positions of the server's own views. */
    views: readonly number[];
  };
}

export async function setUp(
  events: readonly string[],
  partition: 'state' | 'audit' = 'state',
  keepAliveMs = 1_000,
): Promise<Trial> {
  const tiny = tinyLog();
  for (const type of events) tiny.add(type);
  const visible = (who: Who, event: Recorded): boolean => policy.visible(who, 'state', event);
  const tail = await openTail(tiny.log, { visible, sink: recordingSink(), maxBytes: 40_000 });
  const stopping = new AbortController();
  const server: Trial['server'] = { trouble: undefined, passedOver: 0, ageMs: 0, views: [] };
  const app = serveOperations(
    [],
    {
      log: {
        state: tiny.log,
        attempts: tiny.log,
        presence: tiny.log,
        audit: tiny.log,
      } as unknown as ClusterLog,
      tails: { state: tail, attempts: tail, presence: tail, audit: tail },
      policy,
      keepAliveMs,
      trouble: () => server.trouble,
      ageMs: () => server.ageMs,
      views: () => server.views.map((position, n) => ({ name: `view-${n}.1`, position, state: {} })),
      stopping: stopping.signal,
    },
    {
      callerOf: () => node,
      limits: noLimits,
      ...{ world: fakeWorld(), sink: recordingSink(), metrics: recordingMetrics() },
    },
  );
  const link: Link = {
    up: true,
    stalled: false,
    open: new Set(),
    paths: [],
    bytes: '',
  };
  const get = async (path: string, signal: AbortSignal): Promise<IncomingMessage> => {
    if (!link.up) throw new CodedError('unavailable', 'no auth server answers');
    link.paths.push(path);
    // Stands for the response's socket: accepts a chunk or two until it is read.
    const head: Record<string, unknown> = {};
    const outgoing = Object.assign(new PassThrough(), {
      writeHead: (_status: number, headers: Record<string, unknown>) => Object.assign(head, headers),
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
    return Object.assign(body, { statusCode: response.status, headers: head }) as unknown as IncomingMessage;
  };
  const sink = recordingSink();
  const remote = openRemoteLog({
    partition,
    get,
    passOver: () => server.passedOver++,
    world: fakeWorld(),
    sink,
    silentMs: 5_000,
    monotonic: () => performance.now(),
  });
  remotes.push(remote);
  return { ...tiny, remote, link, sink, stopping, tail, server };
}

const remotes: RemoteLog[] = [];
/** A clock of the test's own; what a test opened is closed. */
export function useOwnClock(): void {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => {
    for (const remote of remotes.splice(0)) remote.close();
    vi.useRealTimers();
  });
}

/** What a reader received, in short: `position:type`, or the position alone. */
export interface Collected {
  got: string[];
  ended: () => string;
  unsubscribe: () => void;
}

export function collect(remote: RemoteLog, after = 0, wanted?: Wanted): Collected {
  const got: string[] = [];
  let ended = '';
  const subscription = remote.follow(after, undefined, wanted).subscribe({
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
export const until = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 50 });
/** Moves the clock, and lets the streams do their part of each step. */
export async function turn(ms = 50): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    await vi.advanceTimersByTimeAsync(Math.min(left, 250));
    await settle();
    await settle();
  }
}
