import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { type AuditOutbox, openAuditOutbox, type OutboxOptions } from './audit-outbox.ts';
import { type FakeAuth, fakeAuth, never, unavailable } from './audit-outbox-testing.ts';
import { type FakeWorld, fakeWorld, recordingSink } from './testing.ts';

let directory: string;
let world: FakeWorld;
const opened: AuditOutbox[] = [];

const event = (n: number, extra: object = {}): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'exec',
    code: 'T3002I',
    uid: world.uuid(),
    time: world.now(),
    ei: 0,
    n,
    ...extra,
  });
const open = async (auth: FakeAuth): Promise<AuditOutbox> => {
  const outbox = await openAuditOutbox({
    directory: join(directory, 'spool'),
    client: auth as unknown as OutboxOptions['client'],
    sink: recordingSink(),
    world,
    maxPending: 100,
    drainMs: 0,
  });
  opened.push(outbox);
  return outbox;
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'outbox-'));
  world = fakeWorld();
});
afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close();
  rmSync(directory, { recursive: true });
});

describe('an event that auth refuses for good', () => {
  it('is put aside and counted; those around it are delivered in order', async () => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const outbox = await open(auth);
    for (const n of [1, 2, 3]) await outbox.emit(event(n));
    auth.answer = (events) =>
      events.some((one) => one['n'] === 2)
        ? Promise.reject(new CodedError('bad_request', 'server_id is not yours'))
        : Promise.resolve();
    await vi.waitFor(() => {
      expect(outbox.pending()).toBe(0);
    });
    expect(auth.stored()).toEqual([1, undefined, 3]);
    expect(auth.batches.flat()[1]).toMatchObject({
      event: 'gap',
      about: 'exec',
      message: 'an event could not be stored: server_id is not yours',
      lost: { bytes: expect.any(Number) as number, sha256: expect.any(String) as string },
    });
    expect(outbox.refused()).toBe(1);
    expect(outbox.trouble()).toBeUndefined();
    expect(readFileSync(join(directory, 'spool', 'refused.ndjson'), 'utf8')).toContain('"n":2');
    await outbox.close();
    expect((await open(auth)).refused()).toBe(1);
  });

  it('is told as the same gap when the process dies before its file is gone', async () => {
    const auth = fakeAuth();
    const gaps: string[] = [];
    let taking = never;
    auth.answer = ([first]) => {
      if (first?.event !== 'gap') return Promise.reject(new CodedError('too_large', 'no event like this'));
      gaps.push(first.uid);
      return taking();
    };
    const first = await open(auth);
    await first.emit(event(1));
    await vi.waitFor(() => {
      expect(gaps).toHaveLength(1);
    });
    await first.close();
    taking = () => Promise.resolve();
    const second = await open(auth);
    await vi.waitFor(() => {
      expect(second.pending()).toBe(0);
    });
    expect(gaps).toHaveLength(2);
    expect(new Set(gaps).size).toBe(1);
  });
});

describe('what an auth server does not take as it is', () => {
  const bytesOf = (events: ParsedAuditEvent[]): number => Buffer.byteLength(JSON.stringify(events));
  const emitAll = async (outbox: AuditOutbox, events: readonly ParsedAuditEvent[]): Promise<void> => {
    for (const one of events) await outbox.emit(one);
  };
  const long = (n: number): ParsedAuditEvent => event(n, { command: '字'.repeat(5_000) });

  it('is sent in batches whose bytes are counted as the log counts them', async () => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const outbox = await open(auth);
    await emitAll(
      outbox,
      Array.from({ length: 40 }, (_, n) => long(n)),
    );
    const sizes: number[] = [];
    auth.answer = (events) => {
      sizes.push(bytesOf(events));
      return Promise.resolve();
    };
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual(Array.from({ length: 40 }, (_, n) => n));
    });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(130 * 1024);
  });

  it.each(['too_large', 'limit_exceeded', 'internal'] as const)(
    'is halved when a batch is refused with %s',
    async (code) => {
      const auth = fakeAuth();
      auth.answer = unavailable;
      const outbox = await open(auth);
      await emitAll(
        outbox,
        Array.from({ length: 20 }, (_, n) => event(n)),
      );
      auth.answer = (events) =>
        events.length > 6 ? Promise.reject(new CodedError(code, 'too much')) : Promise.resolve();
      await vi.waitFor(() => {
        expect(outbox.pending()).toBe(0);
      });
      expect(auth.stored()).toEqual(Array.from({ length: 20 }, (_, n) => n));
      expect(outbox.refused()).toBe(0);
    },
  );

  it('is cut when an auth server takes no event of its size', async () => {
    const auth = fakeAuth();
    auth.answer = (events) =>
      bytesOf(events) > 10_000 ? Promise.reject(new CodedError('too_large', 'no')) : Promise.resolve();
    const outbox = await open(auth);
    await emitAll(outbox, [event(1), long(2), event(3)]);
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1, 2, 3]);
    });
    expect(auth.batches.flat()[1]).toMatchObject({ cut: { command: { bytes: 15_000 } } });
    expect(outbox.refused()).toBe(0);
  });

  it('is cut after a few tries when an older one says that there is too much', async () => {
    const auth = fakeAuth();
    let tries = 0;
    auth.answer = (events) => {
      if (bytesOf(events) <= 10_000) return Promise.resolve();
      tries++;
      return Promise.reject(new CodedError('limit_exceeded', 'above the limit'));
    };
    const outbox = await open(auth);
    await emitAll(outbox, [long(1), event(2)]);
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1, 2]);
    });
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(20);
  });

  it('waits as long as it takes when it is small and a server has too much to do', async () => {
    const auth = fakeAuth();
    let tries = 0;
    auth.answer = () =>
      ++tries < 40 ? Promise.reject(new CodedError('limit_exceeded', 'later')) : Promise.resolve();
    const outbox = await open(auth);
    await outbox.emit(event(1));
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1]);
    });
    expect(outbox.refused()).toBe(0);
  });

  it('is told as a gap when a server fails over this event alone, and kept when it fails over all', async () => {
    const auth = fakeAuth();
    const failing = (): Promise<void> => Promise.reject(new CodedError('internal', 'internal error'));
    let all = true;
    auth.answer = (events) => (all || events.some((one) => one['n'] === 2) ? failing() : Promise.resolve());
    const outbox = await open(auth);
    await emitAll(outbox, [event(2), event(3)]);
    await vi.waitFor(() => {
      expect(outbox.refused()).toBe(1);
    });
    await vi.waitFor(() => {
      expect(outbox.trouble()).toContain('internal error');
    });
    all = false;
    await vi.waitFor(() => {
      expect(outbox.pending()).toBe(0);
    });
    expect(auth.stored()).toEqual([undefined, 3]);
    expect(outbox.refused()).toBe(1);
  });
});

describe('an auth server that takes no more from this machine now', () => {
  it('is asked again when it said, and gets every event whole, however often it put them off', async () => {
    const auth = fakeAuth();
    const askedAt: number[] = [];
    auth.answer = () => {
      askedAt.push(performance.now());
      const retryAfterMs = askedAt.length === 1 ? 300 : 1;
      return askedAt.length <= 12
        ? Promise.reject(new CodedError('quota', 'the quota of audit events is used up', { retryAfterMs }))
        : Promise.resolve();
    };
    const outbox = await open(auth);
    const command = 'x'.repeat(15_000);
    for (const n of [1, 2, 3]) await outbox.emit(event(n, { command }));
    await vi.waitFor(() => {
      expect(outbox.trouble()).toMatch(/3 audit events wait .*: the quota of audit events is used up/);
    });
    await vi.waitFor(
      () => {
        expect(outbox.pending()).toBe(0);
      },
      { timeout: 5_000 },
    );
    expect((askedAt[1] ?? 0) - (askedAt[0] ?? 0)).toBeGreaterThanOrEqual(295);
    expect(auth.stored()).toEqual([1, 2, 3]);
    expect(auth.batches.flat().map((one) => one['command'])).toEqual([command, command, command]);
    expect(outbox.refused()).toBe(0);
    expect(outbox.trouble()).toBeUndefined();
  });
});
