import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { AuditEvent } from '../../domain/audit-event.ts';
import type { Cause, Position } from '../../log/event.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { ownAudit } from './own-audit.ts';

const causeOf = (n: number): Cause => ({
  at: '2026-01-01T00:00:00.000Z',
  actor: `user:u${n}`,
  requestId: `r${n}`,
});

/** A writer whose appends end when the test says so. */
function writer() {
  const appends: { names: (string | undefined)[]; cause: Cause; end: (e?: CodedError) => void }[] = [];
  let position = 0;
  const append = (events: readonly AuditEvent[], cause: Cause): Promise<Position> =>
    new Promise((resolve, reject) => {
      appends.push({
        names: events.map(({ user }) => user),
        cause,
        end: (e) => {
          if (e) reject(e);
          else resolve((position += events.length));
        },
      });
    });
  return { append, appends };
}

function recording() {
  const { append, appends } = writer();
  const own = ownAudit({
    writer: { appendNew: append },
    state: memoryLog({ world: fakeWorld() }).state,
    world: fakeWorld(),
    hostId: 'auth-1',
  });
  const record = (n: number): Promise<Position | string> =>
    own
      .record(catalogue.userLogin({ user: `u${n}`, method: 'local', success: true }), causeOf(n))
      .catch((e: unknown) => (e as CodedError).code);
  const end = async (nth: number, e?: CodedError): Promise<void> => {
    appends[nth]?.end(e);
    for (let n = 0; n < 10; n++) await Promise.resolve();
  };
  /** The first is under way when the others come. */
  const oneThen = async (...others: readonly number[]): Promise<Promise<Position | string>[]> => {
    const one = record(1);
    await turn();
    return [one, ...others.map(record)];
  };
  return { record, oneThen, appends, end };
}

describe('what auth itself tells the audit', () => {
  it('goes together where it comes in one turn of the event loop', async () => {
    const { record, appends, end } = recording();
    const all = [1, 2].map(record);
    await turn();
    expect(appends.map(({ names }) => names)).toEqual([['u1', 'u2']]);
    await end(0);
    expect(await Promise.all(all)).toEqual([2, 2]);
  });

  it('goes at once when nothing is under way, and all that came meanwhile goes together', async () => {
    const { record, oneThen, appends, end } = recording();
    const all = await oneThen(2, 3, 4);
    expect(appends.map(({ names }) => names)).toEqual([['u1']]);
    expect(appends[0]?.cause).toEqual(causeOf(1));
    await end(0);
    expect(appends.map(({ names }) => names)).toEqual([['u1'], ['u2', 'u3', 'u4']]);
    expect(appends[1]?.cause.actor).toBe('auth:auth-1');
    await end(1);
    expect(await Promise.all(all)).toEqual([1, 4, 4, 4]);
    void record(5);
    await turn();
    expect(appends[2]?.names).toEqual(['u5']);
  });

  it('goes one by one when one of them cannot be stored, and the others are', async () => {
    const { oneThen, appends, end } = recording();
    const all = await oneThen(2, 3);
    await end(0);
    await end(1, new CodedError('limit_exceeded', 'too large'));
    await end(2, new CodedError('limit_exceeded', 'too large'));
    await end(3);
    expect(appends.map(({ names }) => names)).toEqual([['u1'], ['u2', 'u3'], ['u2'], ['u3']]);
    expect(await Promise.all(all)).toEqual([1, 'limit_exceeded', 2]);
  });

  it('fails together where the store is away', async () => {
    const { oneThen, appends, end } = recording();
    const all = await oneThen(2, 3);
    await end(0);
    await end(1, new CodedError('unavailable', 'the store is away'));
    expect(await Promise.all(all)).toEqual([1, 'unavailable', 'unavailable']);
    expect(appends).toHaveLength(2);
  });
});
