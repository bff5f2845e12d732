import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { minute } from '../../base/time.ts';
import { presenceFact, type Renewal } from '../../domain/presence.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import type { Fact } from '../../log/event.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { type PresenceWriter, presenceWriter } from './presence-writer.ts';
import { authHostId, eventsOf } from '../testing.ts';

let log: ClusterLog;
let writer: PresenceWriter;
/** The facts of each append that was asked for. */
let asked: (readonly Fact[])[];
let watched: EventLog;
let sink: ReturnType<typeof recordingSink>;
let refuse: (facts: readonly Fact[]) => void;
const world = fakeWorld();

beforeEach(() => {
  log = memoryLog({ world });
  asked = [];
  refuse = () => undefined;
  sink = recordingSink();
  watched = Object.assign(Object.create(log.presence) as EventLog, {
    append: async (...args: Parameters<EventLog['append']>) => {
      const facts = args[0].flatMap((write) => write.facts);
      asked.push(facts);
      refuse(facts);
      return log.presence.append(...args);
    },
    revision: (stream: Parameters<EventLog['revision']>[0]) => log.presence.revision(stream),
  });
  writer = writerOf(watched, minute);
});
const writerOf = (on: EventLog, intervalMs: number): PresenceWriter =>
  presenceWriter({
    log: on,
    world,
    sink,
    hostId: authHostId,
    intervalMs,
    soonMs: 5,
    monotonic: () => performance.now(),
    ageing: () => waitedMs,
  });
afterEach(async () => {
  await writer.close();
  await log.close();
});

let waitedMs = 0;
const host = (n: number): { hostId: string; role: 'Node' } => ({
  hostId: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
  role: 'Node',
});
const renewAll = (count: number): void => {
  for (let n = 0; n < count; n++) writer.renew(host(n), 600);
};
const stored = async (): Promise<Renewal[]> =>
  (await eventsOf(log, 'presence')).flatMap((event) => presenceFact.parse(event.fact).data.hosts);

describe('telling of the hosts that are alive', () => {
  it('takes one append for all who renewed, each once', async () => {
    renewAll(50);
    renewAll(50);
    expect(await writer.flush()).toBe(1);
    expect(await stored()).toHaveLength(50);
  });

  it('cuts what ten thousand said, so that no append is more than any store takes', async () => {
    renewAll(10_000);
    await writer.flush();
    expect(new Set((await stored()).map((one) => one.hostId)).size).toBe(10_000);
    for (const facts of asked) expect(JSON.stringify(facts).length).toBeLessThan(256 * 1024);
    for (const fact of asked.flat()) expect(JSON.stringify(fact).length).toBeLessThan(64 * 1024);
  });

  it('counts what hosts have adopted towards the size of a fact', async () => {
    const mark = 'x'.repeat(32);
    for (let n = 0; n < 10_000; n++) writer.renew(host(n), 600, { adopted: [mark, mark] });
    await writer.flush();
    expect(await stored()).toHaveLength(10_000);
    for (const fact of asked.flat()) expect(JSON.stringify(fact).length).toBeLessThan(64 * 1024);
  });

  it('does not make a host live longer that was heard of while the store was away', async () => {
    for (const n of [1, 2]) writer.renew(host(n), 600);
    waitedMs = 11 * minute;
    writer.renew(host(2), 600);
    waitedMs += 2_500;
    await writer.flush();
    expect((await stored()).map((one) => one.ttlSeconds)).toEqual([0, 598]);
  });

  it('tells again only what was not stored', async () => {
    renewAll(4_000);
    refuse = () => {
      if (asked.length === 2) throw new CodedError('unavailable', 'the store is away');
    };
    await expect(writer.flush()).rejects.toMatchObject({ code: 'unavailable' });
    const before = await stored();
    await writer.flush();
    const ids = (await stored()).map((one) => one.hostId);
    expect(before.length).toBeGreaterThan(0);
    expect([ids.length, new Set(ids).size]).toEqual([4_000, 4_000]);
  });

  it('prefers what a host said after an append that failed', async () => {
    renewAll(1);
    refuse = () => {
      writer.renew(host(0), 7);
      refuse = () => undefined;
      throw new CodedError('unavailable', 'the store is away');
    };
    await expect(writer.flush()).rejects.toMatchObject({ code: 'unavailable' });
    await writer.flush();
    expect(await stored()).toMatchObject([{ ttlSeconds: 7 }]);
  });

  it('lets all who cannot wait share one append, and tells each how far to read', async () => {
    await writer.flush();
    const positions = await Promise.all(
      Array.from({ length: 300 }, (_, n) => {
        writer.renew(host(n), 600);
        return writer.soon();
      }),
    );
    expect(asked).toHaveLength(1);
    expect(new Set(positions)).toEqual(new Set([1]));
  });

  it('says how far to read also to one whose heartbeat was told by another', async () => {
    renewAll(1);
    await writer.flush();
    expect(await writer.soon()).toBe(1);
  });

  it('goes on after another process has written its stream', async () => {
    renewAll(1);
    await writer.flush();
    const hosts = [{ ...host(1), seenAt: world.now(), ttlSeconds: 600 }];
    const cause = { at: world.now(), actor: 'auth', requestId: world.uuid() };
    const facts = [{ type: 'hosts.renewed', data: { hosts } }];
    await log.presence.append([{ stream: `presence-${authHostId}`, expected: 1, facts }], cause);
    renewAll(1);
    expect(await writer.flush()).toBe(3);
  });

  it('tells what waits before it closes', async () => {
    renewAll(3);
    await writer.close();
    expect(await stored()).toHaveLength(3);
  });
});

describe('a store that takes no heartbeats', () => {
  it('is told of once, and that it does again; what waited is stored', async () => {
    const away = new CodedError('unavailable', 'the store went back');
    refuse = () => {
      throw away;
    };
    const often = writerOf(watched, 2);
    often.renew(host(1), 600);
    await expect.poll(() => asked.length).toBeGreaterThan(5);
    refuse = () => undefined;
    await expect.poll(stored).toHaveLength(1);
    await often.close();
    expect(sink.lines.filter((line) => line.includes('heartbeats'))).toEqual([
      expect.stringContaining('heartbeats cannot be stored now: they wait'),
      expect.stringContaining('heartbeats are stored again'),
    ]);
  });
});

describe('sessions that a host tells of', () => {
  const sessions = { known: [] };
  const stored = async (): Promise<readonly unknown[]> => {
    await writer.flush();
    const events = await eventsOf(log, 'presence');
    return events.flatMap(({ fact }) => presenceFact.parse(fact).data.hosts.map((one) => one.sessions));
  };
  it('are not lost where its next heartbeat, without them, is stored in their place', async () => {
    writer.renew(host(1), 600, { sessions });
    writer.renew(host(1), 600);
    expect(await stored()).toEqual([sessions]);
  });
  it('are stored with the next one where the store refuses the first', async () => {
    let refused = 0;
    refuse = () => {
      if (refused++ === 0) {
        writer.renew(host(1), 600);
        throw new CodedError('unavailable', 'away');
      }
    };
    writer.renew(host(1), 600, { sessions });
    await expect(writer.flush()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await stored()).toEqual([sessions]);
  });
});
