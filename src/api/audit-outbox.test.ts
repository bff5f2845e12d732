import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { type AuditOutbox, openAuditOutbox, type OutboxOptions } from './audit-outbox.ts';
import { type FakeAuth, fakeAuth, never, unavailable } from './audit-outbox-testing.ts';
import { type FakeWorld, fakeWorld, recordingSink } from './testing.ts';

let directory: string;
let world: FakeWorld;
let sink: ReturnType<typeof recordingSink>;
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
const open = async (auth: FakeAuth, extra: Partial<OutboxOptions> = {}): Promise<AuditOutbox> => {
  const outbox = await openAuditOutbox({
    directory: join(directory, 'spool'),
    client: auth as unknown as OutboxOptions['client'],
    sink,
    world,
    maxPending: 100,
    drainMs: 0,
    ...extra,
  });
  opened.push(outbox);
  return outbox;
};
const files = (): string[] => readdirSync(join(directory, 'spool')).sort();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'outbox-'));
  world = fakeWorld();
  sink = recordingSink();
});
afterEach(async () => {
  for (const outbox of opened.splice(0)) await outbox.close();
  rmSync(directory, { recursive: true });
});

describe('emitting an audit event', () => {
  it('delivers in order and leaves nothing behind', async () => {
    const auth = fakeAuth();
    const outbox = await open(auth);
    await Promise.all([1, 2, 3, 4, 5].map((n) => outbox.emit(event(n))));
    await vi.waitFor(() => {
      expect(outbox.pending()).toBe(0);
      expect(files()).toEqual([]);
    });
    expect(auth.stored()).toEqual([1, 2, 3, 4, 5]);
    expect(outbox.trouble()).toBeUndefined();
  });

  it('is on disk, readable by its owner alone, before it resolves', async () => {
    const auth = fakeAuth();
    auth.answer = never;
    const outbox = await open(auth);
    await outbox.emit(event(7, { command: 'secret-less' }));
    const [file] = files();
    expect(readFileSync(join(directory, 'spool', file ?? ''), 'utf8')).toContain('secret-less');
    expect(statSync(join(directory, 'spool', file ?? '')).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'spool')).mode & 0o777).toBe(0o700);
  });

  it('waits while the spool is full, says so, and goes on when there is room', async () => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const outbox = await open(auth, { maxPending: 2 });
    await outbox.emit(event(1));
    await outbox.emit(event(2));
    let third = 'waits';
    const waiting = outbox.emit(event(3)).then(() => (third = 'stored'));
    await vi.waitFor(() => {
      expect(outbox.trouble()).toBe(
        '3 audit events wait for the auth server since 2026-01-01T00:00:00.000Z: no auth server answers; the spool is full, so sessions wait too',
      );
    });
    expect(third).toBe('waits');
    auth.answer = () => Promise.resolve();
    await waiting;
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1, 2, 3]);
    });
  });

  it('cuts a long text and says so', async () => {
    const auth = fakeAuth();
    const outbox = await open(auth);
    await outbox.emit(event(1, { command: `a${'字'.repeat(30_000)}z` }));
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1]);
    });
    expect(auth.batches[0]?.[0]).toMatchObject({
      command: expect.stringMatching(/^a字+ … 字+z$/) as string,
      cut: { command: { bytes: 90_002, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
    });
  });

  it('tells of what is too large whatever is cut as a gap, and keeps it aside', async () => {
    const auth = fakeAuth();
    const outbox = await open(auth);
    const labels = Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`label-${i}`, 'x']));
    await outbox.emit(event(1, { server_labels: labels, user: 'joe' }));
    await vi.waitFor(() => {
      expect(outbox.pending()).toBe(0);
    });
    expect(auth.batches[0]).toMatchObject([
      { event: 'gap', code: 'TG000W', about: 'exec', user: 'joe', count: 1, lost: { code: 'T3002I' } },
    ]);
    expect(readFileSync(join(directory, 'spool', 'refused.ndjson'), 'utf8')).toContain('label-8999');
  });
});

describe('starting again', () => {
  it('leaves the files of an outbox that is open to their owner', async () => {
    const away = fakeAuth();
    away.answer = unavailable;
    const old = await open(away);
    await old.emit(event(1));
    const auth = fakeAuth();
    const successor = await open(auth);
    expect(successor.pending()).toBe(0);
    await old.close();
    const next = await open(auth);
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1]);
      expect(next.pending()).toBe(0);
    });
  });

  it('delivers what an earlier run left, first, once each', async () => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const first = await open(auth);
    await first.emit(event(1));
    await first.emit(event(2));
    await first.close();
    auth.answer = () => Promise.resolve();
    const second = await open(auth);
    await second.emit(event(3));
    await vi.waitFor(() => {
      expect(second.pending()).toBe(0);
    });
    expect(auth.stored()).toEqual([1, 2, 3]);
  });

  it.each([
    [
      'a record cut short',
      (file: string) => {
        appendFileSync(file, 'deadbeef {"event":"ex');
      },
    ],
    [
      'a record with a wrong sum',
      (file: string) => {
        appendFileSync(file, '00000000 {"event":"exec"}\n');
      },
    ],
    [
      'bytes that are no record',
      (file: string) => {
        appendFileSync(file, Buffer.from([0, 0, 255, 10]));
      },
    ],
  ])('puts %s aside with a warning and keeps the rest', async (_name, damage) => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const first = await open(auth);
    await first.emit(event(1));
    await first.close();
    const file = join(directory, 'spool', files()[0] ?? '');
    damage(file);
    auth.answer = () => Promise.resolve();
    const second = await open(auth);
    await second.emit(event(2));
    await vi.waitFor(() => {
      expect(second.pending()).toBe(0);
    });
    expect(auth.stored()).toEqual([1, 2]);
    expect(
      sink.lines.filter((line) => line.startsWith('warn the audit spool has a damaged record')),
    ).toHaveLength(1);
    expect(readFileSync(`${file}.damaged`).length).toBeGreaterThan(3);
  });

  it('leaves alone what is no file of its own, whatever its name, and serves', async () => {
    const auth = fakeAuth();
    await (await open(auth)).close();
    const spool = join(directory, 'spool');
    mkdirSync(join(spool, '000000000001-deadbeef.ndjson'));
    symlinkSync('/nonexistent', join(spool, '000000000002-deadbeef.ndjson'));
    symlinkSync('/dev/zero', join(spool, '000000000003-deadbeef.ndjson'));
    writeFileSync(join(spool, '999999999999-deadbeef.ndjson'), 'x');
    writeFileSync(join(spool, '-rf'), 'x');
    const strange = readdirSync(spool);
    const outbox = await open(auth);
    await outbox.emit(event(1));
    await vi.waitFor(() => {
      expect(auth.stored()).toEqual([1]);
    });
    await outbox.close();
    expect(readdirSync(spool)).toEqual(strange);
    expect(sink.lines.filter((line) => line.includes('is not a file'))).toHaveLength(3);
  });

  it('puts aside a record that nobody here wrote, and delivers the others', async () => {
    const auth = fakeAuth();
    await (await open(auth)).close();
    const record = (text: string): string => `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
    const path = join(directory, 'spool', '000000000001-deadbeef.ndjson');
    const texts = ['hello', '[]', '{"event":"x"}', JSON.stringify(event(2)), 'null'];
    writeFileSync(path, texts.map(record).join(''));
    const outbox = await open(auth);
    await outbox.emit(event(3));
    await vi.waitFor(() => {
      expect(auth.stored().filter((n) => n !== undefined)).toEqual([2, 3]);
    });
    expect(auth.batches.flat().filter((one) => one.event === 'gap')).toHaveLength(4);
    expect(outbox.refused()).toBe(4);
    await outbox.close();
    expect(readFileSync(join(directory, 'spool', 'refused.ndjson'), 'utf8').split('\n')).toContain('hello');
  });

  it('refuses a spool that others can read', async () => {
    const auth = fakeAuth();
    await (await open(auth)).close();
    const { chmodSync } = await import('node:fs');
    chmodSync(join(directory, 'spool'), 0o755);
    await expect(open(auth)).rejects.toMatchObject({ code: 'misconfigured' });
  });
});

describe('closing', () => {
  it('takes no new event and rejects those that wait for room', async () => {
    const auth = fakeAuth();
    auth.answer = unavailable;
    const outbox = await open(auth, { maxPending: 1 });
    await outbox.emit(event(1));
    const waiting = outbox.emit(event(2));
    const refused = expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    await vi.waitFor(() => {
      expect(outbox.trouble()).toBeDefined();
    });
    await outbox.close();
    await refused;
    await expect(outbox.emit(event(3))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('leaves on disk what an auth that never answers did not take', async () => {
    const auth = fakeAuth();
    auth.answer = never;
    const outbox = await open(auth);
    await outbox.emit(event(1));
    await outbox.close();
    expect(files()).toHaveLength(1);
  });

  it('lets a healthy link take what waits', async () => {
    const auth = fakeAuth();
    const outbox = await open(auth, { drainMs: 60_000 });
    await outbox.emit(event(1));
    await outbox.close();
    expect(auth.stored()).toEqual([1]);
    expect(files()).toEqual([]);
  });
});
