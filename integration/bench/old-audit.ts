/*
 * How long it takes to find something in an old audit, on a directory store: with the index of its terms and
 * without: `node integration/bench/old-audit.ts [events] [indexed]`. `make bench-scale` does it at n, 2n, 4n.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import type { searchAudit as row } from '../../src/api/operations/audit.ts';
import type { Call } from '../../src/api/server-deps.ts';
import { auditSources } from '../../src/auth/audit/audit-sources.ts';
import { searchAudit } from '../../src/auth/audit/search-audit.ts';
import type { AuthDeps } from '../../src/auth/deps.ts';
import { noDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { hour, minute, plusMs } from '../../src/base/time.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { StreamName } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { termsFolder } from '../../src/log/term-chapters.ts';
import type { z } from 'zod';

/** Ten million a year. */
const apartMs = 3_153.6;
const eventsInAppend = 40;
const appendsAtOnce = 8;
const [users, hosts] = [2_000, 500];
const types = ['session.start', 'exec', 'session.end', 'scp', 'subsystem', 'port'];

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

function eventAt(n: number, count: number, time: string): object {
  const i = Math.imul(n, 0x9e3779b1) >>> 8;
  const isRare = [0.11, 0.42, 0.83].some((part) => n === Math.floor(part * count));
  return {
    ...{ event: types[i % types.length], code: 'T2000I', uid: idOf(n), time, ei: n % 7, sid: idOf(i) },
    ...{ server_id: idOf(i % hosts), server_hostname: `node-${i % hosts}`, login: 'root' },
    ...{ user: isRare ? 'rare' : `user-${i % users}`, 'addr.remote': '192.0.2.7:51234' },
    ...{ 'addr.local': '192.0.2.1:3022', namespace: 'default', exitCode: 0 },
  };
}

async function fill(log: ClusterLog, count: number): Promise<void> {
  const begin = plusMs(realWorld.now(), -Math.round(count * apartMs) - 10 * minute);
  const revisions = new Map<StreamName, number>();
  const append = (from: number): Promise<unknown> => {
    const events = Array.from({ length: Math.min(eventsInAppend, count - from) }, (_, i) =>
      eventAt(from + i, count, plusMs(begin, Math.round((from + i) * apartMs))),
    );
    const stream: StreamName = `audit-${idOf((from / eventsInAppend) % hosts)}`;
    const expected = revisions.get(stream) ?? 0;
    revisions.set(stream, expected + events.length);
    const facts = events.map((event) => ({ type: 'audit.recorded', data: { event } }));
    const at = plusMs(begin, Math.round((from + events.length) * apartMs));
    return log.audit.append([{ stream, expected, facts }], { at, actor: 'node', requestId: idOf(from) });
  };
  for (let n = 0; n < count; n += eventsInAppend * appendsAtOnce)
    await Promise.all(
      Array.from({ length: appendsAtOnce }, (_, i) => n + i * eventsInAppend)
        .filter((from) => from < count)
        .map(append),
    );
}

interface Taken {
  readonly ms: number;
  readonly cpuMs: number;
  readonly pauseMs: number;
}

async function taken(act: () => Promise<void>): Promise<Taken> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  await act();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  await new Promise(setImmediate);
  delays.disable();
  return { ms, cpuMs: (user + system) / 1e3, pauseMs: delays.max / 1e6 };
}

const row78 = (what: string, { ms, cpuMs, pauseMs }: Taken, more = ''): void => {
  const text = `${ms.toFixed(0)} ms (${cpuMs.toFixed(0)} ms of CPU), longest pause ${pauseMs.toFixed(0)} ms`;
  console.log(`${what.padEnd(78)} ${text}${more}`);
};

type Wish = Partial<z.output<typeof row.input>>;

/** Prints what searches of an audit of so many events take. @param plainly also without an index. */
export async function printOldAudit(count: number, plainly: boolean): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'old-audit-'));
  const world = realWorld;
  const open = async (): Promise<ClusterLog> => {
    const driver = await openDirectoryDriver({ path });
    return openLog({ driver, keyring: sharedTestKeyring, world, writer: 'bench', sink: silentLog });
  };
  const middle = plusMs(realWorld.now(), -Math.round((count / 2) * apartMs));
  const wishes: readonly (readonly [string, Wish])[] = [
    ['the newest 500', {}],
    ['an hour in the middle', { from: middle, to: plusMs(middle, hour) }],
    ['a user with three events', { user: 'rare' }],
    ['a node, an hour in the middle', { from: middle, to: plusMs(middle, hour), node: 'node-7' }],
    ['a user who does not exist', { user: 'nobody' }],
  ];
  /** Each in a process that has searched nothing before. */
  const search = async (which: string): Promise<void> => {
    for (const [what, wish] of wishes) {
      const log = await open();
      // A search asks for these two of all.
      const deps = { log, world } as unknown as AuthDeps;
      const input = {
        from: '2000-01-01T00:00:00.000Z',
        to: realWorld.now(),
        types: [],
        user: '',
        limit: 500,
      };
      const caller = { kind: 'host', role: 'Admin', hostId: idOf(0), address: '' } as const;
      const call = { caller, requestId: idOf(1), deadline: noDeadline } as unknown as Call;
      let found = 0;
      const took = await taken(async () => {
        found = (await searchAudit(deps, call, { ...input, ...wish })).events.length;
      });
      row78(`${count} events of the audit, ${what}, ${which}`, took, `: ${found} found`);
      await log.close();
    }
  };
  try {
    const log = await open();
    await fill(log, count);
    const cause = { at: realWorld.now(), actor: 'bench', requestId: idOf(2) };
    await log.takeSnapshot('audit', [], { trim: false }, cause);
    await log.close();
    if (plainly) await search('without an index');
    const indexing = await open();
    const took = await taken(async () => {
      for (const { partition, terms } of auditSources)
        while ((await indexing[partition].indexTerms(terms)).isBehind);
    });
    await indexing.close();
    row78(`${count} events of the audit, all indexed`, took, `, ${await indexBytes(path)} bytes`);
    await search('with an index');
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

async function indexBytes(path: string): Promise<number> {
  const driver = await openDirectoryDriver({ path });
  let bytes = 0;
  for (const key of await driver.snapshots.list(termsFolder('audit')))
    bytes += (await driver.snapshots.get(key))?.length ?? 0;
  await driver.close();
  return bytes;
}

if (import.meta.main)
  await printOldAudit(Number(process.argv[2] ?? 1_000_000), process.argv[3] !== 'indexed');
