/* How long it takes to find something in an old audit, on a directory store, with the index of its terms. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import { termsFolder } from '../../src/log/terms-folder.ts';
import type { z } from 'zod';
import { type Figure, took } from './bars.ts';

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

/** Nobody has logged in since the audit was written. */
const noAttempts = { tell: () => Promise.resolve(), toldUntil: () => Promise.resolve(0) };

type Wish = Partial<z.output<typeof row.input>>;

/** What searches of an audit of so many events take, by its index. */
export async function measureOldAudit(count: number): Promise<readonly Figure[]> {
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
  const search = async (): Promise<readonly Figure[]> => {
    const figures: Figure[] = [];
    for (const [what, wish] of wishes) {
      const log = await open();
      // A search asks for these of all.
      const deps = { log, world, attemptsTeller: noAttempts } as unknown as AuthDeps;
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
      const { cpuMs, pauseMs } = await took(async () => {
        found = (await searchAudit(deps, call, { ...input, ...wish })).events.length;
      });
      figures.push(
        { what: `${what}, CPU`, value: cpuMs, unit: 'ms' },
        { what: `... found`, value: found, unit: '' },
        { what: `... longest pause`, value: pauseMs, unit: 'ms' },
      );
      await log.close();
    }
    return figures;
  };
  try {
    const log = await open();
    await fill(log, count);
    const cause = { at: realWorld.now(), actor: 'bench', requestId: idOf(2) };
    await log.takeSnapshot('audit', [], { trim: false }, cause);
    await log.close();
    const indexing = await open();
    const indexed = await took(async () => {
      for (const { partition, terms } of auditSources)
        while ((await indexing[partition].indexTerms(terms)).isBehind);
    });
    await indexing.close();
    return [
      { what: 'its index made, CPU', value: indexed.cpuMs, unit: 'ms' },
      { what: '... bytes', value: await indexBytes(path), unit: 'B' },
      ...(await search()),
    ];
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
