import { fakeWorld } from '../../api/testing.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../base/log-sink.ts';
import { realWorld } from '../../base/world.ts';
import { memoryObjects } from '../../base/memory-objects.ts';
import { hour } from '../../base/time.ts';
import type { AuditNumbers } from '../../domain/audit.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../../domain/audit-event.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { toldAttemptsStream } from '../../domain/streams.ts';
import { ArchiveBench } from '../../log/segment-testing.ts';
import { collect } from '../../log/testing.ts';
import { auditWriter, type AuditWriter } from './audit-writer.ts';
import { tellAttempts } from './tell-attempts.ts';

const host = '00000000-0000-4000-8000-00000000000b';
const times = { keptMs: 24 * hour, retentionMs: 48 * hour };

let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  bench = new ArchiveBench(fakeWorld());
  log = await open();
});
const open = (objects = memoryObjects(bench.values)): Promise<ClusterLog> => bench.open({}, objects, times);
/** As another auth server, or the same after a restart: it remembers nothing. */
const other = async (): Promise<AuditWriter> => writerOn(await open());
const writerOn = ({ audit, archive }: ClusterLog): AuditWriter =>
  auditWriter(audit, realWorld.uuid(), { hasArchive: archive !== undefined });

const eventsOf = (length: number): ParsedAuditEvent[] =>
  Array.from({ length }, () =>
    parsedAuditEvent.parse({
      ...{ event: 'port', code: 'T3003I', uid: realWorld.uuid(), time: bench.world.now(), ei: 0 },
      server_id: host,
    }),
  );
const from = (generation: string, first: number, events: readonly ParsedAuditEvent[]): AuditNumbers => ({
  generation,
  numbers: events.map((_, i) => first + i),
});
/** By `uid`, as far as it is kept. */
const kept = async (): Promise<string[]> => {
  const { audit } = await open();
  const first = await audit.positionBefore('2000-01-01T00:00:00.000Z');
  return (await collect(audit.history(first)))
    .filter(({ fact }) => fact.type === 'audit.recorded')
    .map(({ fact }) => (fact.data as { event: ParsedAuditEvent }).event.uid);
};
const uidsOf = (events: readonly ParsedAuditEvent[]): string[] => events.map(({ uid }) => uid);
const move = async (): Promise<void> => {
  // What nobody looks at, so that there is more to move.
  await bench.write(log, 'session-x', 180);
  await bench.compactTwice(log);
};

describe('an audit event that is sent again', () => {
  it('is not stored again after the first was moved to the archive', async () => {
    const writer = writerOn(log);
    const [numbered, plain] = [eventsOf(50), eventsOf(50)];
    await writer.append(numbered, bench.cause(), from('g', 1, numbered));
    await writer.append(plain, bench.cause());
    await move();
    expect(await bench.floor()).toBeGreaterThan(4);
    await (await other()).append(numbered, bench.cause(), from('g', 1, numbered));
    await (await other()).append(plain, bench.cause());
    const more = eventsOf(1);
    await (await other()).append(more, bench.cause(), from('g', 51, more));
    expect(await kept()).toEqual(uidsOf([...numbered, ...plain, ...more]));
  });

  it('waits for the archive where only that tells, and is not stored on trust', async () => {
    const writer = writerOn(log);
    const events = eventsOf(3);
    await writer.append(events, bench.cause(), from('g', 1, events));
    await move();
    const objects = memoryObjects(bench.values);
    let isAway = true;
    const answering = async <T>(act: () => Promise<T>): Promise<T> => {
      if (isAway) throw Object.assign(new Error('it is away'));
      return act();
    };
    const away = await open({ ...objects, get: (...asked) => answering(() => objects.get(...asked)) });
    const late = writerOn(away);
    await expect(late.append(events, bench.cause(), from('g', 1, events))).rejects.toThrow('it is away');
    // What auth itself saw does not wait.
    const own = eventsOf(1);
    await late.appendNew(own, bench.cause());
    isAway = false;
    await late.append(events, bench.cause(), from('g', 1, events));
    expect(await kept()).toEqual(uidsOf([...events, ...own]));
  });

  it('is not stored on trust by a server that does not know of the archive', async () => {
    const events = eventsOf(3);
    await writerOn(log).append(events, bench.cause(), from('g', 1, events));
    await move();
    const without = writerOn(await bench.open({ archive: undefined }));
    const again = without.append(events, bench.cause(), from('g', 1, events));
    await expect(again).rejects.toMatchObject({ code: 'cursor_too_old' });
    expect(await kept()).toEqual(uidsOf(events));
  });

  it('is stored once in what is kept, after the first was deleted', async () => {
    const writer = writerOn(log);
    const events = eventsOf(40);
    await writer.append(events, bench.cause(), from('g', 1, events));
    await move();
    await move();
    expect(await kept()).toEqual([]);
    for (let i = 0; i < 2; i++) await (await other()).append(events, bench.cause(), from('g', 1, events));
    expect(await kept()).toEqual(uidsOf(events));
    const more = eventsOf(1);
    await (await other()).append(more, bench.cause(), from('g', 41, more));
    expect(await kept()).toEqual(uidsOf([...events, ...more]));
  });

  it('is known by all that is left, where a part was deleted', async () => {
    const writer = writerOn(log);
    const events = eventsOf(30);
    for (const [i, one] of events.entries()) {
      await writer.append([one], bench.cause());
      if (i % 2 === 0) await bench.write(log, 'session-x', 24);
    }
    for (let i = 0; i < 2; i++) await bench.compactTwice(log);
    const left = await kept();
    expect(left.length).toBeGreaterThan(5);
    expect(left.length).toBeLessThan(30);
    await (await other()).append(events, bench.cause());
    const after = await kept();
    expect(after.toSorted()).toEqual(uidsOf(events).toSorted());
    expect(after.slice(0, left.length)).toEqual(left);
  });
});

describe('what was told of attempts to log in', () => {
  it('is told on, though the archive says no more how far it had come', async () => {
    const tellOn = async (of: ClusterLog): Promise<void> => {
      const hostId = realWorld.uuid();
      const teller = tellAttempts({ log: of, world: bench.world, sink: silentLog, hostId });
      await teller.tellBeforeTrim();
      await teller.close();
    };
    const attempt = async (revision: number): Promise<void> => {
      const facts = [{ type: 'test.happened', data: {} }];
      await log.attempts.append([{ stream: 'user-a', expected: revision, facts }], bench.cause());
    };
    await attempt(0);
    await tellOn(log);
    const told = await log.audit.revision(toldAttemptsStream);
    expect(told).toBeGreaterThan(0);
    await move();
    await tellOn(await open());
    expect(await log.audit.revision(toldAttemptsStream)).toBe(told);
    await move();
    const left = log.audit.read(toldAttemptsStream, told - 1);
    await expect(collect(left)).rejects.toMatchObject({ code: 'cursor_too_old' });
    await expect(tellOn(await bench.open({ archive: undefined }))).rejects.toMatchObject({
      code: 'cursor_too_old',
    });
    await attempt(1);
    await tellOn(await open());
    expect(await log.audit.revision(toldAttemptsStream)).toBeGreaterThan(told);
  });
});
