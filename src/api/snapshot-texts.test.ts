import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClusterLog } from '../log/event-log.ts';
import type { LogPolicy } from './served-logs.ts';
import { snapshotTexts } from './snapshot-texts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const calls = { views: 0, policy: 0, stored: 0 };
  let position = 7;
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
    return ['hosts.1', 'secret.1'].map((name) => ({ name, position, state: ['all'] }));
  };
  return { texts: snapshotTexts({ log, policy, views }), calls, move: () => position++ };
}

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
});
