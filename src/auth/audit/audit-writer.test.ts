import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { silentLog } from '../../base/log-sink.ts';
import { realWorld } from '../../base/world.ts';
import type { AuditNumbers } from '../../domain/audit.ts';
import { auditEvent, type ParsedAuditEvent, parsedAuditEvent } from '../../domain/audit-event.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { Cause } from '../../log/event.ts';
import { sharedTestKeyring } from '../../log/keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import { collect } from '../../log/testing.ts';
import { auditWriter, type AuditWriter } from './audit-writer.ts';

const host = '00000000-0000-4000-8000-00000000000b';
const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: `node:${host}`, requestId: 'r1' };
const sid = '00000000-0000-4000-8000-0000000005e5';

let store: MemoryStore;
let log: ClusterLog;
let read = 0;
let writer: AuditWriter;

async function open(): Promise<ClusterLog> {
  const driver = memoryDriver(store);
  return openLog({
    driver: {
      ...driver,
      read: async function* (partition, from) {
        for await (const slot of driver.read(partition, from)) {
          if (partition === 'audit') read++;
          yield slot;
        }
      },
    },
    keyring: sharedTestKeyring,
    world: realWorld,
    writer: 'w',
    sink: silentLog,
    recentBytes: 0,
  });
}
/** As another auth server, or the same after a restart. */
const other = async (): Promise<AuditWriter> => auditWriter((await open()).audit, realWorld.uuid());

beforeEach(async () => {
  store = memoryStore();
  log = await open();
  writer = auditWriter(log.audit, realWorld.uuid());
});

const event = (extra: Partial<ParsedAuditEvent> = {}): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'port',
    code: 'T3003I',
    uid: realWorld.uuid(),
    time: cause.at,
    ei: 0,
    server_id: host,
    ...extra,
  });
const batch = (length: number, extra: Partial<ParsedAuditEvent> = {}): ParsedAuditEvent[] =>
  Array.from({ length }, () => event(extra));
const from = (generation: string, first: number, events: readonly ParsedAuditEvent[]): AuditNumbers => ({
  generation,
  numbers: events.map((_, i) => first + i),
});
const stored = async (): Promise<{ uid: string; sent: [string, number][] | undefined; stream: string }[]> =>
  (await collect(log.audit.history(0)))
    .filter(({ fact }) => fact.type === 'audit.recorded')
    .map(({ fact, stream }) => {
      const data = fact.data as { event: ParsedAuditEvent; sent?: [string, number][] };
      return { uid: data.event.uid, sent: data.sent, stream };
    });
const uids = async (): Promise<string[]> => (await stored()).map((one) => one.uid);

describe('numbered audit events', () => {
  it('are stored once at any distance, by whatever auth server, after whatever restart', async () => {
    const early = batch(200);
    await writer.append(early, cause, from('g1', 1, early));
    for (let n = 0; n < 3_000; n += 200) {
      const some = batch(200);
      await writer.append(some, cause, from('g1', 201 + n, some));
    }
    await writer.append(early, cause, from('g1', 1, early));
    await (await other()).append(early, cause, from('g1', 1, early));
    expect((await uids()).length).toBe(3_200);
  });

  it('of a process that died are stored once, though its successor has told much since', async () => {
    const left = batch(50);
    await writer.append(left.slice(0, 30), cause, from('g1', 1, left.slice(0, 30)));
    for (let n = 0; n < 2_400; n += 200) {
      const some = batch(200);
      await writer.append(some, cause, from('g2', 1 + n, some));
    }
    for (const one of [writer, await other()]) await one.append(left, cause, from('g1', 1, left));
    expect((await uids()).filter((uid) => left.some((one) => one.uid === uid))).toEqual(
      left.map((one) => one.uid),
    );
    expect((await stored()).at(-1)?.sent).toEqual([
      ['g1', 50],
      ['g2', 2_400],
    ]);
  });

  it('are stored once when two auth servers have them at the same time', async () => {
    const second = await other();
    const events = batch(20);
    for (let i = 0; i < 20; i += 5) {
      const [one, more] = [events.slice(0, i + 5), events.slice(i, i + 5)];
      await Promise.all([
        writer.append(one, cause, from('g1', 1, one)),
        second.append(more, cause, from('g1', 1 + i, more)),
        second.append(one, cause, from('g1', 1, one)),
      ]);
    }
    expect(await uids()).toEqual(events.map((one) => one.uid));
  });

  it('lie in the stream of their sender, whatever session they are of', async () => {
    const events = [event({ sid }), event()];
    await writer.append(events, cause, from('g1', 1, events));
    expect((await stored()).map((one) => one.stream)).toEqual([`audit-${host}`, `audit-${host}`]);
    expect(log.stats().audit.streams).toBe(1);
  });

  it('need only the last event of their stream', async () => {
    for (let n = 1; n <= 400; n++) {
      const some = batch(1);
      await writer.append(some, cause, from('g1', n, some));
    }
    const cold = await other();
    const some = batch(1);
    read = 0;
    await cold.append(some, cause, from('g1', 401, some));
    expect(read).toBeLessThan(4);
  });

  it('say what the last few generations of their sender sent, not all there ever were', async () => {
    for (let n = 1; n <= 30; n++) {
      const some = batch(2);
      await writer.append(some, cause, from(`g${n}`, 1, some));
    }
    const all = await stored();
    expect(all.at(-1)?.sent?.map(([generation]) => generation)).toEqual(
      [30, 29, 28, 27, 26, 25, 24, 23].map((n) => `g${n}`),
    );
    expect(all.at(-2)?.sent).toEqual([['g30', 1]]);
  });

  it('are refused when not each has a number, or they are of several senders', async () => {
    const events = [event(), event({ server_id: realWorld.uuid() })];
    for (const numbered of [{ generation: 'g1', numbers: [1] }, from('g1', 1, events)])
      await expect(async () => writer.append(events, cause, numbered)).rejects.toMatchObject({
        code: 'bad_request',
      });
  });
});

describe('beside the release before', () => {
  it('keeps to its rule for senders that give no numbers', async () => {
    const events = [event({ sid }), event()];
    await writer.append(events, cause);
    await writer.append(events, cause);
    await (await other()).append(events, cause);
    expect((await stored()).map((one) => one.stream)).toEqual([`session-${sid}`, `audit-${host}`]);
  });

  it('knows what its auth server stored of numbered events: without numbers, by session', async () => {
    const events = [event({ sid }), event({ sid }), event()];
    await (await other()).append(events, cause);
    const more = [...events, event({ sid })];
    await writer.append(more, cause, from('g1', 1, more));
    expect(await uids()).toEqual(more.map((one) => one.uid));
  });

  it('knows what was sent before its auth server stored without numbers', async () => {
    const [early, later] = [batch(10), batch(10)];
    await writer.append(early, cause, from('g1', 1, early));
    await writer.append(later, cause);
    const all = [...early, ...later];
    for (const one of [writer, await other()]) await one.append(all, cause, from('g1', 1, all));
    expect((await uids()).length).toBe(20);
  });

  it('writes facts that it reads', async () => {
    const events = batch(3);
    await writer.append(events, cause, from('g1', 1, events));
    const before = z.object({
      type: z.literal('audit.recorded'),
      data: z.object({ event: auditEvent }),
    });
    for (const { fact } of await collect(log.audit.history(0)))
      expect(before.parse(fact).data.event.server_id).toBe(host);
  });
});
