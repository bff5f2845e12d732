import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingMetrics, recordingSink } from '../../api/testing.ts';
import type { StoreNotice, WitnessLine } from '../../log/signed-head-witness.ts';
import type { SignedHead } from '../../log/signed-head.ts';
import { appendLine } from './witness-file.ts';
import { parseWitness, readWitness } from './witness-read.ts';
import { type WitnessTarget, witnessTarget } from './witness-target.ts';
import { openWitnesses, witnessesOf } from './witness.ts';

const headAt = (slot: number, partition: SignedHead['partition'] = 'state'): SignedHead => ({
  version: 1,
  partition,
  slot,
  position: slot,
  hash: 'ab'.repeat(32),
  at: '2026-01-01T00:00:00.000Z',
  keyId: '0123456789abcdef',
  signature: `${'A'.repeat(86)}==`,
});

const noticeAt = (slot: number): StoreNotice => ({
  notice: 'the store went back',
  ...{ partition: 'state', slot, hash: 'ab'.repeat(32), hostId: 'a', reason: 'it ends at slot 1' },
  at: '2026-01-01T00:00:00.000Z',
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'witness-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const env = (): {
  sink: ReturnType<typeof recordingSink>;
  world: ReturnType<typeof fakeWorld>;
  metrics: ReturnType<typeof recordingMetrics>;
} => ({ sink: recordingSink(), world: fakeWorld(), metrics: recordingMetrics() });

describe('a witness that is a file', () => {
  it('gets a line for each head, and is private', async () => {
    const path = join(dir, 'heads of log');
    const witnesses = openWitnesses([`file://${encodeURI(path)}`], env());
    for (const slot of [1, 2, 3]) witnesses.send(headAt(slot));
    await expect.poll(() => witnesses.report()[0]?.sent).toBe(3);
    await witnesses.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { heads, unreadable } = await readWitness(path);
    expect(heads.map(({ head }) => head)).toEqual([headAt(1), headAt(2), headAt(3)]);
    expect(heads[2]?.source).toBe(`${path}, line 3`);
    expect(unreadable).toEqual([]);
  });

  it('goes on after a line that a crash left half written', async () => {
    const path = join(dir, 'heads');
    await appendLine(path, JSON.stringify(headAt(1)));
    appendFileSync(path, '{"version":1,"part');
    await appendLine(path, JSON.stringify(headAt(2)));
    const { heads, unreadable } = await readWitness(path);
    expect(heads.map(({ head }) => head.slot)).toEqual([1, 2]);
    expect(unreadable).toEqual([2]);
  });

  it('is refused when others may write to it', async () => {
    const path = join(dir, 'heads');
    await appendLine(path, 'one');
    chmodSync(path, 0o620);
    await expect(appendLine(path, 'two')).rejects.toMatchObject({
      code: 'misconfigured',
      message: `others may write to ${path}: chmod 0600 ${path}`,
    });
    expect(readFileSync(path, 'utf8')).toBe('one\n');
  });
});

describe('sending signed heads', () => {
  /** A target that takes heads only while it is up; each wait of the queue is under the test's hand. */
  function trial(): {
    readonly target: WitnessTarget;
    readonly taken: number[];
    up: boolean;
    readonly waits: number[];
    wait: (ms: number, stopping: AbortSignal) => Promise<void>;
    wake: () => void;
  } {
    const taken: number[] = [];
    const waits: number[] = [];
    const one = {
      taken,
      waits,
      up: false,
      wake: (): void => undefined,
      target: {
        place: 'https://witness.example/heads',
        deliver: (head: WitnessLine) => {
          if (!one.up) return Promise.reject(new Error('is away'));
          taken.push(head.slot);
          return Promise.resolve();
        },
        read: () => Promise.resolve(''),
      },
      wait: (ms: number, stopping: AbortSignal) =>
        new Promise<void>((resolve) => {
          waits.push(ms);
          one.wake = resolve;
          stopping.addEventListener('abort', () => {
            resolve();
          });
        }),
    };
    return one;
  }

  it('tries again, warns once, and keeps the order', async () => {
    const at = trial();
    const { sink, ...rest } = env();
    const witnesses = witnessesOf([at.target], { sink, ...rest, wait: at.wait });
    for (const slot of [1, 2, 3]) witnesses.send(headAt(slot));
    await expect.poll(() => at.waits.length).toBe(1);
    at.wake();
    await expect.poll(() => at.waits.length).toBe(2);
    expect(witnesses.report()).toMatchObject([{ sent: 0, waiting: 3, failing: { reason: 'is away' } }]);
    at.up = true;
    at.wake();
    await expect.poll(() => witnesses.report()[0]?.sent).toBe(3);
    expect(at.taken).toEqual([1, 2, 3]);
    expect(witnesses.report()).toMatchObject([{ waiting: 0, dropped: 0, failing: undefined }]);
    expect(sink.lines.map((line) => line.split(' ')[0])).toEqual(['warn', 'info']);
    await witnesses.close();
  });

  it('gives up the oldest of the same partition when too many wait, and counts them', async () => {
    const at = trial();
    const { metrics, ...rest } = env();
    const witnesses = witnessesOf([at.target], { metrics, ...rest, wait: at.wait });
    witnesses.send(headAt(9_000, 'audit'));
    for (let slot = 1; slot <= 300; slot++) witnesses.send(headAt(slot));
    expect(witnesses.report()).toMatchObject([{ waiting: 256, dropped: 45 }]);
    await expect.poll(() => at.waits.length).toBe(1);
    at.up = true;
    at.wake();
    await expect.poll(() => witnesses.report()[0]?.waiting).toBe(0);
    expect(at.taken).toEqual([9_000, ...Array.from({ length: 255 }, (_, i) => i + 46)]);
    expect([...metrics.counters].find(([name]) => name.startsWith('witness_heads_dropped'))?.[1]).toBe(45);
    await witnesses.close();
  });

  it('holds up no head for a notice that is not taken', async () => {
    const { target, ...at } = trial();
    const takesHeads: WitnessTarget = {
      ...target,
      deliver: (line) => {
        if ('notice' in line) return Promise.reject(new Error('400'));
        at.taken.push(line.slot);
        return Promise.resolve();
      },
    };
    const witnesses = witnessesOf([takesHeads], { ...env(), wait: async () => setImmediate() });
    witnesses.send(noticeAt(1));
    for (const slot of [2, 3]) witnesses.send(headAt(slot));
    await expect.poll(() => at.taken).toEqual([2, 3]);
    expect(witnesses.report()).toMatchObject([{ sent: 2, waiting: 1, dropped: 0 }]);
    await witnesses.close();
  });

  it('ends at once, whatever waits', async () => {
    const at = trial();
    const witnesses = witnessesOf([at.target], { ...env(), wait: at.wait });
    witnesses.send(headAt(1));
    await expect.poll(() => at.waits.length).toBe(1);
    await witnesses.close();
    witnesses.send(headAt(2));
    expect(witnesses.report()).toMatchObject([{ waiting: 1, sent: 0 }]);
  });
});

describe('reading a witness', () => {
  it('takes lines or one list, each head once', () => {
    const lines = `${JSON.stringify(headAt(1))}\r\n\n${JSON.stringify(headAt(1))}\n${JSON.stringify(headAt(2))}`;
    const list = JSON.stringify([headAt(1), headAt(2), 7]);
    expect(parseWitness(lines, 'w').heads.map(({ source }) => source)).toEqual(['w, line 1', 'w, line 4']);
    expect(parseWitness(list, 'w')).toMatchObject({ heads: [{ head: headAt(1) }, {}], unreadable: [3] });
    expect(parseWitness('', 'w')).toEqual({ place: 'w', heads: [], notices: [], unreadable: [] });
    expect(parseWitness('null\n{}', 'w').unreadable).toEqual([1, 2]);
  });

  it('tells notices that the store went back from heads, and from what nobody can read', () => {
    const lines = [headAt(1), noticeAt(3), 7].map((line) => JSON.stringify(line)).join('\n');
    expect(parseWitness(lines, 'w')).toMatchObject({
      heads: [{ head: headAt(1) }],
      notices: [noticeAt(3)],
      unreadable: [3],
    });
  });

  it('says what is missing', async () => {
    await expect(readWitness(join(dir, 'none'))).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('naming a witness', () => {
  it('refuses what cannot be one, and shows no password', () => {
    for (const text of ['', 'file://host/path', 'ftp://x/y', '/path', 'http://'])
      expect(() => witnessTarget(text)).toThrow(/a witness is a/);
    expect(witnessTarget('https://joe:secret@witness.example/heads').place).toBe(
      'https://witness.example/heads',
    );
  });
});
