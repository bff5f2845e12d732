import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tmpdir } from 'node:os';
import { CodedError } from '../base/errors.ts';
import type { AuditClaim } from './audit-claim.ts';
import { SpoolDisk } from './spool-disk.ts';
import type { Spool, Spooled } from './spool.ts';
import { type KeptEvent, SpoolWriter, type SpoolWriterOptions } from './spool-writer.ts';
import { isInMemory } from './spooled-events.ts';
import { type FakeWorld, fakeWorld, recordingSink } from './testing.ts';

const before: AuditClaim = { happened: false, mayEnter: false };
const entering: AuditClaim = { happened: false, mayEnter: true };
const after: AuditClaim = { happened: true, mayEnter: false };
const full = (): CodedError => new CodedError('no_space', 'the audit spool cannot be written: ENOSPC');

let world: FakeWorld;
let sink: ReturnType<typeof recordingSink>;
let disk: SpoolDisk;
let kept: KeptEvent[];
let writer: SpoolWriter | undefined;
/** The fake spool: what the disk takes now, and how many records fit into what is set aside. */
let room: boolean;
let reserved: number;
let roomForReserve: boolean;
let sentAtOnce: number;

beforeEach(() => {
  world = fakeWorld();
  sink = recordingSink();
  disk = new SpoolDisk({ directory: '/spool', sink, world, reserveBytes: 100 });
  [kept, room, reserved, roomForReserve, sentAtOnce] = [[], true, 0, true, 0];
});
afterEach(async () => {
  kept = [];
  await writer?.close();
});

const record = (text: string, path: string): Spooled => ({
  ...{ text, bytes: text.length, segment: { path, generation: 'g', waiting: 1 }, number: 1 },
});
const take = (texts: readonly string[], path: string, may: boolean): Promise<readonly Spooled[]> =>
  may ? Promise.resolve(texts.map((text) => record(text, path))) : Promise.reject(full());

function open(options: Partial<SpoolWriterOptions> = {}): SpoolWriter {
  const spool: Spool = {
    reserveBytes: 100,
    write: (texts) => take(texts, 'disk', room),
    // Half of it, 50 bytes, is there for everybody.
    writeReserved: (texts, leave) => {
      const may = reserved > (leave > 0 ? 2 : 0);
      if (may) reserved--;
      return take(texts, 'reserve', may);
    },
    prepareReserve: () => (roomForReserve ? Promise.resolve() : Promise.reject(full())),
    tryDisk: () => (room ? Promise.resolve() : Promise.reject(full())),
    taken: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  writer = new SpoolWriter({
    ...{ directory: tmpdir(), spool, disk, sink, maxPending: 10, confirmMs: 50 },
    waiting: () => kept,
    waitingBytes: () => kept.length,
    keep: (written) => kept.push(...written),
    sendAtOnce: () => sentAtOnce++,
    away: () => 'no auth server answers',
    ...options,
  });
  return writer;
}
const places = (): string[] =>
  kept.map((one) => `${one.text} ${isInMemory(one) ? 'memory' : one.segment.path}`);

describe('where an event is kept', () => {
  it('on the disk, while there is room', async () => {
    await open().write('a', before);
    expect(places()).toEqual(['a disk']);
    expect(disk.state().status).toBe('writable');
  });
  it('nowhere, on a full disk, for what has not happened and is nobody who may enter', async () => {
    [room, reserved] = [false, 4];
    await expect(open().write('a', before)).rejects.toMatchObject({
      code: 'no_space',
      message: expect.stringMatching(/ENOSPC; somebody whose role has the option enterOnFullDisk/) as string,
    });
    expect(places()).toEqual([]);
    expect(disk.state()).toMatchObject({ status: 'refusing' });
  });
  it('in half of what is set aside for what has happened, in all of it for who may enter, then in memory', async () => {
    [room, reserved] = [false, 4];
    const one = open();
    for (const text of ['a', 'b', 'c']) await one.write(text, after);
    await one.write('d', entering);
    await one.write('e', { happened: true, mayEnter: true });
    await one.write('f', { happened: true, mayEnter: true });
    expect(places()).toEqual(['a reserve', 'b reserve', 'c memory', 'd reserve', 'e reserve', 'f memory']);
  });
  it('at auth, when nothing else is left for who may enter: it waits until that has it', async () => {
    room = false;
    const written = open().write('a', entering);
    await vi.waitFor(() => {
      expect(places()).toEqual(['a memory']);
    });
    expect(sentAtOnce).toBe(1);
    kept[0]?.delivered?.();
    await written;
  });
  it('with auth away: refused, and the event goes there later', async () => {
    room = false;
    await expect(open().write('a', entering)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /ENOSPC; nor did an auth server take it within 0.05 s: no auth server/,
      ) as string,
    });
    expect(places()).toEqual(['a memory']);
  });
  it('in memory up to a bound, then nowhere; in the log of the process at the end', async () => {
    room = false;
    const one = open({ maxPending: 5_000 });
    for (let i = 0; i < 1_000; i++) await one.write('x', after);
    await expect(one.write('too many', after)).rejects.toMatchObject({ code: 'no_space' });
    kept.splice(2);
    await one.close();
    expect(sink.lines.filter((line) => line.includes('could not be kept'))).toHaveLength(2);
  });
});

describe('a disk without room for what is to be set aside', () => {
  it('takes the rest, and the log says so once', async () => {
    roomForReserve = false;
    const one = open();
    await vi.waitFor(() => {
      expect(sink.lines).toEqual([expect.stringMatching(/^warn no space can be set aside for a full disk/)]);
    });
    await one.write('a', before);
    expect(disk.state().status).toBe('writable');
  });
});

describe('a spool that is full of what waits for auth', () => {
  it('lets pass who may enter, and before those who wait', async () => {
    const one = open({ maxPending: 1 });
    await one.write('a', before);
    const waits = one.write('b', before);
    await one.write('c', entering);
    expect(places()).toEqual(['a disk', 'c disk']);
    kept.splice(0);
    one.roomAgain();
    await waits;
    expect(places()).toEqual(['b disk']);
  });
});

describe('the log of a full disk', () => {
  it('has the beginning, a line a minute with who was refused, and the end', async () => {
    room = false;
    const one = open({ maxPending: 100 });
    const refused = (): Promise<void> => expect(one.write('a', before)).rejects.toThrow();
    await refused();
    await refused();
    const errors = (): string[] => sink.lines.filter((line) => line.startsWith('error'));
    expect(errors()).toHaveLength(1);
    expect(errors()[0]).toMatch(
      /takes nothing: only people whose role has the option enterOnFullDisk get in/,
    );
    world.advance(60_001);
    await refused();
    expect(errors()).toHaveLength(2);
    room = true;
    await one.write('b', before);
    await vi.waitFor(() => {
      expect(sink.lines.at(-1)).toMatch(/^info .*takes writes again.*"refused":3/);
    });
    // It comes and goes: not a line each time.
    for (let i = 0; i < 10; i++) {
      room = i % 2 === 1;
      await one.write('c', after);
      await vi.waitFor(() => {
        expect(disk.state().status).toBe(room ? 'writable' : 'refusing');
      });
    }
    expect(sink.lines).toHaveLength(3);
  });
});
