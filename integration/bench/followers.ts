/* What an event costs that many followers may not see, and one who was away when many of these happened. */
import { PassThrough, Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import type { ReadableStream } from 'node:stream/web';
import type { HttpBindings } from '@hono/node-server';
import type { Get } from '../../src/api/fetch-snapshot.ts';
import { type LiveTail, openTail } from '../../src/api/live-tail.ts';
import { openRemoteLog } from '../../src/api/remote-log.ts';
import { serveOperations } from '../../src/api/serve-operations.ts';
import { noLimits, recordingMetrics } from '../../src/api/testing.ts';
import { openAuthViews } from '../../src/auth/auth-views.ts';
import { logPolicy } from '../../src/auth/log/log-policy.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { hostStream, userStream } from '../../src/domain/streams.ts';
import type { ClusterLog, Followable, ViewState } from '../../src/log/event-log.ts';
import type { Position } from '../../src/log/event.ts';
import { memoryLog } from '../../src/log/memory-log.ts';
import { openNodeViews } from '../../src/node/node-views.ts';
import { type Figure, took } from './bars.ts';
import { created } from './old-user.ts';

const cause = { at: realWorld.now(), actor: 'bench', requestId: realWorld.uuid() };
const clock = { now: () => realWorld.now(), monotonic: () => performance.now() };
const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

/** News of nodes, which no node is given. */
async function happen(log: ClusterLog, events: number): Promise<void> {
  const host = {
    ...{ hostId: idOf(1), role: 'Node', nodename: 'n1', address: '10.0.0.1:3022', publicAddress: '' },
    ...{ sshPublicAddress: '', labels: { env: 'bench' }, version: '4.5.0' },
  };
  for (let done = 0; done < events; done += 100) {
    const expected = await log.state.revision(hostStream(idOf(1)));
    const facts = Array.from({ length: Math.min(100, events - done) }, () => ({
      ...{ type: 'host.changed', data: { host } },
    }));
    await log.state.append([{ stream: hostStream(idOf(1)), expected, facts }], cause);
  }
}

/** CPU of so many events, with so many who follow and may see none of them. */
async function hiddenMs(followers: number, events: number): Promise<number> {
  const log = memoryLog();
  const tail = await openTail(log.state, {
    visible: (who, event) => logPolicy.visible(who, 'state', event),
    sink: silentLog,
  });
  const gone = new AbortController();
  let [woken, passed] = [0, 0];
  const follow = async (): Promise<void> => {
    const leave = tail.hold();
    for (let at = tail.head(); !gone.signal.aborted;) {
      const over = tail.passOver(at, 'Node');
      if (over !== undefined) passed++;
      at = over?.position ?? at;
      await tail.changed(at, { who: 'Node', ms: 3_600_000, signal: gone.signal });
      woken++;
    }
    leave();
  };
  const all = Promise.all(Array.from({ length: followers }, follow));
  await happen(log, 500);
  const { cpuMs } = await took(async () => {
    await happen(log, events);
  });
  if (woken > 0 || passed > 0) throw new Error('bug: a hidden event woke somebody');
  gone.abort();
  await all;
  tail.close();
  await log.close();
  return cpuMs;
}

export async function measureHiddenEvents(followers: number): Promise<readonly Figure[]> {
  const events = 5_000;
  let [alone, withAll] = [Infinity, Infinity];
  for (let round = 0; round < 3; round++) {
    alone = Math.min(alone, await hiddenMs(1, events));
    withAll = Math.min(withAll, await hiddenMs(followers, events));
  }
  const ns = (Math.max(0, withAll - alone) * 1e6) / (events * followers);
  return [
    { what: 'CPU for each of them', value: ns, unit: 'ns', most: 10 },
    { what: 'CPU for the event, with all that appends it', value: (withAll * 1e3) / events, unit: 'us' },
  ];
}

const returning = 100;

/** A node with everything that it folds, as it was at `position`, connects again. Both ends are in it. */
export async function measureReturn(missed: number): Promise<readonly Figure[]> {
  const log = memoryLog();
  for (let n = 0; n < 200; n++)
    await log.state.append([{ stream: userStream(`u${n}`), expected: 0, facts: [created(`u${n}`)] }], cause);
  const views = await openAuthViews(log, clock);
  await views.fresh();
  const position = await log.state.head();
  const known = new Map(views.stored('state').map((one) => [one.name, { ...one, state: one.state }]));
  await happen(log, missed);
  const head = await views.fresh();
  const { get, getSnapshot, tail, sent } = await serving(log, (partition) => views.stored(partition));
  const comeBack = async (): Promise<void> => {
    const remote = openRemoteLog({
      ...{
        partition: 'state',
        get: (path, signal) => get(path, signal),
        getSnapshot,
        passOver: () => undefined,
        world: realWorld,
        sink: silentLog,
      },
      ...{ silentMs: 60_000, monotonic: clock.monotonic },
    });
    const nodeViews = await openNodeViews({ state: as(remote, known, position) as typeof remote }, silentLog);
    await nodeViews.reached(head);
    nodeViews.close();
    remote.close();
  };
  // The first compile what the others run.
  for (let n = 0; n < 20; n++) await comeBack();
  sent.bytes = 0;
  const all = await took(async () => {
    for (let n = 0; n < returning; n++) await comeBack();
  });
  const bytes = sent.bytes;
  tail.close();
  views.close();
  await log.close();
  return [
    { what: 'CPU of both ends', value: all.cpuMs / returning, unit: 'ms', most: 5 },
    { what: 'bytes that it is sent', value: bytes / returning, unit: 'B' },
    { what: 'longest pause', value: all.pauseMs, unit: 'ms' },
  ];
}

/** The log as a view sees it that was at `position` before: it begins there once. */
function as(log: Followable, known: ReadonlyMap<string, ViewState>, position: Position): Followable {
  const begun = new Set<string>();
  return {
    ...log,
    snapshot: (name) => {
      const state = known.get(name);
      if (state === undefined || begun.has(name)) return log.snapshot(name);
      begun.add(name);
      return Promise.resolve({ ...state, position });
    },
  };
}

/** A log as an auth server serves it, without a network. */
async function serving(log: ClusterLog, views: (partition: 'state') => readonly ViewState[]) {
  const visible: Parameters<typeof openTail>[1]['visible'] = (who, event) =>
    logPolicy.visible(who, 'state', event);
  const tail: LiveTail = await openTail(log.state, { visible, sink: silentLog });
  const app = serveOperations(
    [],
    {
      ...{ log, tails: { state: tail, attempts: tail, presence: tail, audit: tail }, policy: logPolicy },
      ...{ keepAliveMs: 1_000, stopping: new AbortController().signal },
      views: (partition) => (partition === 'state' ? views('state') : []),
    },
    {
      callerOf: () => ({ kind: 'host', hostId: idOf(2), role: 'Node', address: '10.0.0.2:1' }),
      ...{ limits: noLimits, world: realWorld, sink: silentLog, metrics: recordingMetrics() },
    },
  );
  const sent = { bytes: 0 };
  const get = async (
    path: string,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<IncomingMessage> => {
    const head: Record<string, unknown> = {};
    const outgoing = Object.assign(new PassThrough(), {
      writeHead: (_status: number, more: Record<string, unknown>) => Object.assign(head, more),
      removeHeader: () => undefined,
    });
    const env = { incoming: {}, outgoing } as unknown as HttpBindings;
    const response = await app.request(path, { headers }, env);
    const isStream = response.headers.has('x-hono-already-sent');
    const body: Readable = isStream
      ? outgoing
      : Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    body.on('data', (chunk: Uint8Array) => (sent.bytes += chunk.length));
    body.on('error', () => undefined);
    signal.addEventListener('abort', () => body.destroy());
    return Object.assign(body, { statusCode: response.status, headers: head }) as unknown as IncomingMessage;
  };
  const getSnapshot: Get = get;
  return { get, getSnapshot, tail, sent };
}
