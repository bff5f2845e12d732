import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import type { AccessOptions } from '../../domain/role-options.ts';
import type { RecordingState } from '../../domain/recording.ts';
import { newBoxKeys, openBox } from '../../pki/sealed-box.ts';
import type { Preamble } from '../../recording/recording-file.ts';
import { framesOf, MemorySink, outputOf, testAbout, testSid } from '../../recording/testing.ts';
import type { RecordingUploads, Upload } from './recording-uploads.ts';
import { sessionRecordings, type SessionRecording } from './session-recordings.ts';

const keys = newBoxKeys();
const key = { keyId: 'k', publicKey: keys.publicKey.toString('base64') };
const details = {
  ...{ user: 'alice', login: 'root', requestId: 'r', startedAt: testAbout.startedAt, addresses: {} },
};
let sink: MemorySink;
let told: string[];
let sealed: string;
let upload: Upload;
beforeEach(() => {
  sink = new MemorySink();
  told = [];
  upload = () => Promise.reject(new CodedError('unavailable', 'away'));
});
afterEach(() => {
  vi.useRealTimers();
});

const uploads = {
  begin: ({ sealedKey = '' }: Preamble) => {
    sealed = sealedKey;
    return {
      sink,
      ended: () => told.push('ended'),
      told: () => told.push('told'),
      abandoned: () => told.push('abandoned'),
    };
  },
  beginRemote: () =>
    Promise.resolve({
      told: (one: unknown) => told.push(one === undefined ? 'nothing' : JSON.stringify(one)),
    }),
  upload: ((input) => upload(input)) satisfies Upload,
} as unknown as RecordingUploads;

const begin = (
  state: RecordingState,
  policy: AccessOptions['recordSession'] = 'usual',
  mayEnter = false,
): Promise<SessionRecording | undefined> =>
  sessionRecordings({ state: () => state, uploads, world: fakeWorld() }).begin({
    ...{ about: testAbout, details, policy, mayEnterOnFullDisk: () => mayEnter },
  });

describe('a session', () => {
  it('is not recorded where that is off, or no auth server knows of it', async () => {
    expect(await begin({ key, mode: 'off' })).toBeUndefined();
    expect(await begin({})).toBeUndefined();
  });

  it('does not begin where the cluster has no key to record for', async () => {
    await expect(begin({ mode: 'node' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is recorded under a key that the cluster alone opens', async () => {
    const recording = await begin({ key, mode: 'node' });
    const tap = recording?.tap();
    tap?.write('shown ');
    tap?.end('on the screen');
    let passed = '';
    for await (const chunk of tap ?? []) passed += String(chunk);
    recording?.resized({ columns: 9, rows: 8, widthPixels: 0, heightPixels: 0 });
    expect(await recording?.end('exit 0')).toMatchObject({
      mode: 'node',
      bytes: passed.length,
      lostBytes: 0,
    });
    recording?.told();
    expect([passed, told]).toEqual(['shown on the screen', ['ended', 'told']]);
    const own = openBox(keys, Buffer.from(sealed, 'base64'), `recording ${testSid}`);
    const frames = framesOf(sink.chunks, Uint8Array.from(own));
    expect(outputOf(frames)).toBe(passed);
    expect(frames).toContainEqual({ atMs: 0, type: 'resize', columns: 9, rows: 8 });
  });

  it.each([
    ['usual', false, 'refused'],
    ['usual', true, 'begins'],
    ['strict', true, 'refused'],
    ['best_effort', false, 'begins'],
  ] as const)('with %s roles, and %s to enter on a full disk, on one: %s', async (policy, mayEnter, what) => {
    sink.trouble = 'no_space';
    const beginning = begin({ key, mode: 'node' }, policy, mayEnter);
    if (what === 'refused') {
      await expect(beginning).rejects.toMatchObject({ message: 'the disk is full' });
      expect([told, sink.isClosed]).toEqual([['abandoned'], true]);
      return;
    }
    const recording = await beginning;
    recording?.tap().write('lost');
    expect(await recording?.end('exit 0')).toMatchObject({ chunks: 0, lostBytes: 4 });
  });

  it('that must be recorded ends when it no longer can be', async () => {
    vi.useFakeTimers();
    const recording = await begin({ key, mode: 'a mode of a later release' });
    sink.trouble = 'no_space';
    recording?.tap().write('more');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await recording?.failed).toBe('the disk is full');
  });

  it('shows no more than is soon recorded: who writes waits for a slow disk', async () => {
    const recording = await begin({ key, mode: 'node' });
    const disk = Promise.withResolvers<undefined>();
    sink.hold = disk.promise;
    const tap = recording?.tap();
    let passed = 0;
    tap?.on('data', (chunk: Buffer) => (passed += chunk.length));
    const piece = randomBytes(64 * 1024);
    for (let i = 0; i < 32; i++) tap?.write(piece);
    await turn();
    expect(passed).toBeLessThan(2 * 1024 * 1024);
    disk.resolve(undefined);
    await vi.waitFor(() => {
      expect(passed).toBe(32 * piece.length);
    });
    expect(await recording?.end('exit 0')).toMatchObject({ bytes: passed, lostBytes: 0 });
  });

  it('goes to auth at once where it must, and is refused while that is away', async () => {
    vi.useFakeTimers();
    const refused = expect(begin({ key, mode: 'node-sync' })).rejects.toMatchObject({ message: 'away' });
    await vi.advanceTimersByTimeAsync(30_000);
    await refused;
    expect(told).toEqual(['nothing']);
    let next = 0;
    upload = ({ first }) =>
      Promise.resolve({ next: (next = first + 1), head: '', isOver: false, place: 'there' });
    const recording = await begin({ key, mode: 'node-sync' });
    expect(next).toBe(1);
    const end = await recording?.end('exit 0');
    recording?.told();
    expect(JSON.parse(told[1] ?? '')).toEqual({
      ...{ sid: testSid, user: 'alice', place: 'there', chunks: 2, head: end?.head },
    });
  });
});
