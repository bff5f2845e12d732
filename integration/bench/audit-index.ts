import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { auditWriter } from '../../src/auth/audit/audit-writer.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../../src/domain/audit-event.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Cause } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';

/**
 * What many sessions cost an auth server: `fill <directory> <sessions> numbered|sessions` writes two events
 * of each as hosts tell them, with snapshots as the auth server takes them; `open <directory>` opens what was
 * written. Run with `--expose-gc`. Prints one line of JSON.
 */
const [mode = '', path = '', many = '0', senders = 'numbered'] = process.argv.slice(2);
const hosts = Array.from({ length: 50 }, () => realWorld.uuid());
const sessionsInBatch = 50;
const atOnce = 8;
const snapshotEvery = 10_000;

const cause = (): Cause => ({ at: realWorld.now(), actor: 'user:bench', requestId: realWorld.uuid() });
const open = async (): Promise<ClusterLog> =>
  openLog({
    driver: await openDirectoryDriver({ path }),
    keyring: sharedTestKeyring,
    world: realWorld,
    writer: 'bench',
    sink: silentLog,
  });

/** CPU time of the thread the loop runs on, ms: other processes on the machine do not count. */
const threadMs = (): number =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
const processMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};
const mib = (bytes: number): number => bytes / 1024 / 1024;
const rssAnonMiB = (): number =>
  Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

/** The longest that the loop was not free: by the clock, and in its thread's own CPU time. */
function watchPauses(): { reset(): void; longest(): { pauseMs: number; busyMs: number } } {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let busyMs = 0;
  let last = threadMs();
  setInterval(() => {
    const now = threadMs();
    busyMs = Math.max(busyMs, now - last);
    last = now;
  }, 5).unref();
  return {
    reset: () => {
      delay.reset();
      busyMs = 0;
      last = threadMs();
    },
    longest: () => ({ pauseMs: delay.max / 1e6, busyMs }),
  };
}

interface Memory {
  readonly rssAnonMiB: number;
  readonly heapMiB: number;
}
async function memory(): Promise<Memory> {
  globalThis.gc?.();
  await turn();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return { rssAnonMiB: rssAnonMiB(), heapMiB: mib(heapUsed + external) };
}

/** Parsed once: what a server does where an event enters is not what is measured here. */
const template = parsedAuditEvent.parse({
  event: 'session.start',
  code: 'T2000I',
  uid: realWorld.uuid(),
  time: realWorld.now(),
  ei: 0,
  sid: realWorld.uuid(),
  server_id: realWorld.uuid(),
  user: 'alice',
  login: 'root',
  'addr.remote': '10.0.0.1:51234',
});

function sessionsOf(server_id: string): ParsedAuditEvent[] {
  const event = (sid: string, name: string, code: string, ei: number): ParsedAuditEvent => ({
    ...template,
    ...{ event: name, code, ei, sid, server_id },
    uid: realWorld.uuid(),
    time: realWorld.now(),
  });
  return Array.from({ length: sessionsInBatch }, () => realWorld.uuid()).flatMap((sid) => [
    event(sid, 'session.start', 'T2000I', 0),
    event(sid, 'session.end', 'T2004I', 1),
  ]);
}

async function fill(sessions: number): Promise<object> {
  const log = await open();
  const writer = auditWriter(log.audit, realWorld.uuid());
  const numbers = new Map<string, number>();
  const batch = async (n: number): Promise<void> => {
    const host = hosts[n % hosts.length] ?? '';
    const events = sessionsOf(host);
    const first = (numbers.get(host) ?? 0) + 1;
    numbers.set(host, first + events.length - 1);
    const numbered = { generation: '1.1-00000001', numbers: events.map((_, i) => first + i) };
    await writer.append(events, cause(), senders === 'numbered' ? numbered : undefined);
  };
  let snapshot: Promise<unknown> | undefined;
  const pauses = watchPauses();
  const batches = sessions / sessionsInBatch;
  let warm: Memory | undefined;
  for (let n = 0; n < batches; n += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, batches - n) }, (_, i) => batch(n + i)));
    if (snapshot === undefined && log.stats().audit.eventsSinceSnapshot >= snapshotEvery)
      snapshot = log
        .takeSnapshot('audit', [], { trim: false }, cause())
        .finally(() => (snapshot = undefined));
    if (warm !== undefined || n < batches / 5) continue;
    // From here on: before, the heap grows to the size it works with.
    await snapshot;
    warm = await memory();
    pauses.reset();
  }
  await snapshot;
  // The next look of an auth server at what is due.
  if (log.stats().audit.eventsSinceSnapshot >= snapshotEvery)
    await log.takeSnapshot('audit', [], { trim: false }, cause());
  const longest = pauses.longest();
  const { position, streams } = log.stats().audit;
  const result = { events: position, streams, warm, end: await memory(), ...longest };
  await log.close();
  return result;
}

async function opening(): Promise<object> {
  const [began, cpu] = [performance.now(), processMs()];
  const pauses = watchPauses();
  const log = await open();
  const result = { ms: performance.now() - began, cpuMs: processMs() - cpu, ...pauses.longest() };
  const { position, streams, eventsSinceSnapshot } = log.stats().audit;
  const after = { ...result, events: position, streams, eventsSinceSnapshot, ...(await memory()) };
  await log.close();
  return after;
}

process.stdout.write(`${JSON.stringify(mode === 'open' ? await opening() : await fill(Number(many)))}\n`);
