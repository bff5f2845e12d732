import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { uploadBytes } from '../../api/operations/recording.ts';
import { CodedError } from '../../base/errors.ts';
import type { Chunk } from '../../recording/chunk.ts';
import { testSid } from '../../recording/testing.ts';
import type { Upload } from './recording-uploads.ts';
import { remoteSink } from './remote-sink.ts';

/** The numbers and sizes of what was sent. */
let sent: [first: number, bytes: number][];
let answer: (call: number, upTo: number) => number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  [sent, answer] = [[], (_, upTo) => upTo];
});
afterEach(() => {
  vi.useRealTimers();
});

const chunk = (number: number, bytes: number): Chunk =>
  ({ head: { number }, bytes: Buffer.alloc(bytes), hash: Buffer.alloc(32) }) as unknown as Chunk;

/** Takes a chunk for each 1,000 bytes. */
const upload: Upload = async ({ first, chunks }) => {
  await Promise.resolve();
  const { length } = Buffer.from(chunks, 'base64');
  sent.push([first, length]);
  const next = answer(sent.length, first + Math.max(1, Math.round(length / 1_000)));
  return { next, head: '', place: 'there', isOver: false };
};
const open = () => remoteSink({ upload, sid: testSid, user: 'alice', sealedKey: 'AA' });

it('sends what it is given at once, and knows the place from then on', async () => {
  const sink = open();
  expect(sink.place).toBeUndefined();
  await sink.write([chunk(0, 1_000), chunk(1, 1_000)]);
  await sink.write([]);
  await sink.close();
  expect([sink.place, sent]).toEqual(['there', [[0, 2_000]]]);
});

it('sends no more at once than auth takes', async () => {
  const big = uploadBytes - 1_000;
  answer = (_, upTo) => upTo + 10_000;
  await open().write([chunk(0, big), chunk(1, 1_000), chunk(2, 1_000)]);
  expect(sent).toEqual([
    [0, uploadBytes],
    [2, 1_000],
  ]);
});

it('tries again while auth is away, and after an answer that has less', async () => {
  answer = (call, upTo) => {
    if (call === 1) throw new CodedError('unavailable', 'away');
    return call === 2 ? 0 : upTo;
  };
  const writing = open().write([chunk(0, 1_000)]);
  await vi.advanceTimersByTimeAsync(2_000);
  await writing;
  expect(sent.length).toBe(3);
});

it('gives up after twenty seconds, with what auth said', async () => {
  answer = () => {
    throw new CodedError('unavailable', 'away for long');
  };
  const writing = expect(open().write([chunk(0, 1_000)])).rejects.toThrow('away for long');
  await vi.advanceTimersByTimeAsync(19_000);
  const before = sent.length;
  await vi.advanceTimersByTimeAsync(10_000);
  await writing;
  expect(before).toBeGreaterThan(30);
  expect(sent.length - before).toBeLessThan(5);
});

it.each(['no_space', 'damaged'] as const)('gives up at once on %s', async (code) => {
  answer = () => {
    throw new CodedError(code, 'never');
  };
  await expect(open().write([chunk(0, 1_000)])).rejects.toMatchObject({ code });
  expect(sent.length).toBe(1);
});

it('hides no bug', async () => {
  answer = () => {
    throw new TypeError('a bug');
  };
  await expect(open().write([chunk(0, 1_000)])).rejects.toThrow(TypeError);
});
