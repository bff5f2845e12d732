import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { AuditNumbers } from '../domain/audit.ts';
import { type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { type AuditOutbox, openAuditOutbox, type OutboxOptions } from './audit-outbox.ts';
import { type FakeWorld, fakeWorld, recordingSink } from './testing.ts';

interface Sent {
  readonly events: readonly ParsedAuditEvent[];
  readonly numbered?: AuditNumbers;
}

let directory: string;
let world: FakeWorld;
let away: boolean;
let sent: Sent[];
let unique = 0;
const opened: AuditOutbox[] = [];

const open = async (): Promise<AuditOutbox> => {
  const call = (_: unknown, input: unknown): Promise<object> => {
    if (away) return Promise.reject(new CodedError('unavailable', 'no auth server answers'));
    sent.push(input as Sent);
    return Promise.resolve({ position: 1 });
  };
  unique++;
  const mine = unique;
  const outbox = await openAuditOutbox({
    directory: join(directory, 'spool'),
    client: { call } as unknown as OutboxOptions['client'],
    sink: recordingSink(),
    // Each process has random bytes of its own.
    world: { ...world, randomBytes: (length) => new Uint8Array(length).fill(mine) },
    maxPending: 100,
    drainMs: 0,
  });
  opened.push(outbox);
  return outbox;
};
const event = (n: number): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'exec',
    code: 'T3002I',
    uid: world.uuid(),
    time: world.now(),
    ei: 0,
    n,
  });
const delivered = (outbox: AuditOutbox) =>
  vi.waitFor(() => {
    expect(outbox.pending()).toBe(0);
  });
const seen = () =>
  sent.flatMap(({ events, numbered }) => events.map((one, i) => [one['n'], numbered?.numbers[i]]));
const generations = () => sent.map(({ numbered }) => numbered?.generation);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'numbers-'));
  world = fakeWorld();
  away = false;
  sent = [];
});
afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close();
  rmSync(directory, { recursive: true });
});

describe('the numbers of audit events', () => {
  it('go up in the order in which they are sent, and are no part of the events', async () => {
    const outbox = await open();
    await Promise.all([1, 2, 3].map((n) => outbox.emit(event(n))));
    await outbox.emit(event(4));
    await delivered(outbox);
    expect(seen()).toEqual([1, 2, 3, 4].map((n) => [n, n]));
    expect(new Set(generations()).size).toBe(1);
    expect(JSON.stringify(sent.map((one) => one.events))).not.toContain('spool_number');
  });

  it('stay with what an earlier process left, which is sent in batches of its own', async () => {
    away = true;
    const first = await open();
    for (const n of [1, 2]) await first.emit(event(n));
    await first.close();
    const second = await open();
    await second.emit(event(3));
    away = false;
    await delivered(second);
    expect(seen()).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
    ]);
    const [one, ...others] = new Set(generations());
    expect([one?.endsWith(`-${`0${unique - 1}`.repeat(4)}`), others.length]).toEqual([true, 1]);
  });

  it('are none for what the release before spooled', async () => {
    const text = JSON.stringify(event(1));
    const sum = crc32(text).toString(16).padStart(8, '0');
    mkdirSync(join(directory, 'spool'), { mode: 0o700 });
    writeFileSync(join(directory, 'spool', '000000000001-deadbeef.ndjson'), `${sum} ${text}\n`);
    const outbox = await open();
    await outbox.emit(event(2));
    await delivered(outbox);
    expect(seen()).toEqual([
      [1, undefined],
      [2, 1],
    ]);
    expect(generations()[0]).toBeUndefined();
  });
});
