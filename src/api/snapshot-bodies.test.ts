import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClusterLog } from '../log/event-log.ts';
import type { Who } from './operation.ts';
import type { LogPolicy } from './served-logs.ts';
import { type SnapshotBody, snapshotBodies, type SnapshotQuestion } from './snapshot-bodies.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const calls = { views: 0, policy: 0, stored: 0 };
  let position = 7;
  let state: unknown = ['all'];
  const log = {
    state: {
      snapshot: (name: string) => {
        calls.stored++;
        return Promise.resolve(name === 'old.1' ? { position: 3, state: ['stored'] } : undefined);
      },
    },
  } as unknown as ClusterLog;
  const policy: LogPolicy = {
    followers: () => [],
    visible: () => true,
    snapshotFor: (who, _partition, name, state) => {
      calls.policy++;
      if (name === 'secret.1') return undefined;
      return who === 'Node' ? ['less'] : state;
    },
  };
  const views = () => {
    calls.views++;
    return ['hosts.1', 'secret.1'].map((name) => ({ name, position, state }));
  };
  const bodies = snapshotBodies({ log, policy, views });
  const questionOf = (who: Who, projection: string): SnapshotQuestion => ({
    ...{ who, partition: 'state', projection, encoding: 'gzip' },
  });
  const texts = async (who: Who, _partition: 'state', projection: string): Promise<string | undefined> =>
    textOf(await bodies.newest(questionOf(who, projection)));
  return {
    bodies,
    questionOf,
    texts,
    calls,
    move: () => position++,
    stateIs: (now: unknown) => (state = now),
  };
}

const textOf = (body: SnapshotBody | undefined): string | undefined =>
  body && (body.encoding === 'gzip' ? gunzipSync(body.bytes) : body.bytes).toString();

describe('a host that opens a view', () => {
  it('begins from what the view of the server holds now, as far as it may see it', async () => {
    const { texts } = setUp();
    expect(await texts('Proxy', 'state', 'hosts.1')).toBe('{"position":7,"state":["all"]}');
    expect(await texts('Node', 'state', 'hosts.1')).toBe('{"position":7,"state":["less"]}');
    expect(await texts('Node', 'state', 'secret.1')).toBeUndefined();
  });

  it('costs nothing more when thousands do so in the same second', async () => {
    const { texts, calls, move } = setUp();
    for (let n = 0; n < 5_000; n++) await texts('Node', 'state', 'hosts.1');
    for (let n = 0; n < 5_000; n++) await texts('Node', 'state', 'secret.1');
    expect(calls).toEqual({ views: 1, policy: 2, stored: 0 });
    move();
    vi.advanceTimersByTime(1_000);
    expect(await texts('Node', 'state', 'hosts.1')).toBe('{"position":8,"state":["less"]}');
  });

  it('that the server does not have itself gets what the log has stored, filtered as well', async () => {
    const { texts } = setUp();
    expect(await texts('Proxy', 'state', 'old.1')).toBe('{"position":3,"state":["stored"]}');
    expect(await texts('Node', 'state', 'old.1')).toBe('{"position":3,"state":["less"]}');
    expect(await texts('Node', 'state', 'absent.1')).toBeUndefined();
  });

  it('gets one buffer with all others, compressed where it is worth it and they take it', async () => {
    const { bodies, questionOf, stateIs } = setUp();
    stateIs(Array.from({ length: 5_000 }, () => 'the same again and again'));
    const proxy = questionOf('Proxy', 'hosts.1');
    const [one, other] = await Promise.all([bodies.newest(proxy), bodies.newest(proxy)]);
    expect(one).toBe(other);
    expect([one?.encoding, (one?.bytes.length ?? 0) < 10_000]).toEqual(['gzip', true]);
    const plain = await bodies.newest({ ...proxy, encoding: 'identity' });
    expect([plain?.encoding, plain?.bytes.toString()]).toEqual(['identity', textOf(one)]);
    expect(plain?.etag).not.toBe(one?.etag);
  });

  it('may continue with what it has a part of for a minute, and nobody else with that', async () => {
    const { bodies, questionOf, move } = setUp();
    const proxy = questionOf('Proxy', 'hosts.1');
    const body = await bodies.newest(proxy);
    move();
    vi.advanceTimersByTime(59_000);
    const etag = body?.etag ?? '';
    expect(bodies.kept(proxy, etag)).toBe(body);
    expect(bodies.kept(questionOf('Node', 'hosts.1'), etag)).toBeUndefined();
    expect(bodies.kept(proxy, '"another"')).toBeUndefined();
    vi.advanceTimersByTime(59_000);
    expect(bodies.kept(proxy, etag)).toBe(body);
    vi.advanceTimersByTime(61_000);
    expect(bodies.kept(proxy, etag)).toBeUndefined();
  });
});
