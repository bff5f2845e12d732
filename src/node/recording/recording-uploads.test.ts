import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { uploadRecording } from '../../api/operations/recording.ts';
import { CodedError } from '../../base/errors.ts';
import type { Chunk } from '../../recording/chunk.ts';
import { ChunkCutter } from '../../recording/chunk-cutter.ts';
import { chunksIn } from '../../recording/chunks-in.ts';
import { createRecordingFile } from '../../recording/recording-file.ts';
import { framesOf, outputOf, testAbout, testKey, testSid } from '../../recording/testing.ts';
import { RecordingSpool } from './recording-spool.ts';
import { RecordingUploads, type Upload, type Uploaded } from './recording-uploads.ts';

const gone = { pid: 2 ** 22 + 1, startTime: '1' };
const details = {
  ...{ user: 'alice', login: 'root', requestId: 'r', startedAt: testAbout.startedAt, addresses: {} },
};
let directory: string;
let stored: Chunk[];
let calls: number;
let refuse: (call: number) => CodedError | undefined;
/** Whether auth, at this call, has nothing of the recording. */
let forget: (call: number) => boolean;
let uploaded: Uploaded[];
let interrupted: object[];
let sink: ReturnType<typeof recordingSink>;
let uploads: RecordingUploads | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'uploads-'));
  [stored, calls, uploaded, interrupted] = [[], 0, [], []];
  refuse = () => undefined;
  forget = () => false;
  sink = recordingSink();
});
afterEach(async () => {
  await uploads?.stop();
  rmSync(directory, { recursive: true });
});

/** As auth does it. */
const upload: Upload = async ({ sid, first, chunks }) => {
  await Promise.resolve();
  const error = refuse(++calls);
  if (error !== undefined) throw error;
  if (forget(calls)) stored.length = 0;
  if (first <= stored.length)
    for (const chunk of chunksIn(sid, Buffer.from(chunks, 'base64')))
      if (chunk.head.number === stored.length) stored.push(chunk);
  const last = stored.at(-1);
  return {
    ...{ next: stored.length, head: last?.hash.toString('hex') ?? '', place: 'there' },
    isOver: last?.head.isLast ?? false,
  };
};

function open(): RecordingUploads {
  const owner = { pid: process.pid, startTime: 'x' };
  uploads = new RecordingUploads({
    spool: new RecordingSpool({ directory, owner: { ...owner, startTime: '7' }, unique: '0000000a' }),
    auth: {
      call: ((operation: unknown, input: Parameters<Upload>[0]) => {
        expect(operation).toBe(uploadRecording);
        return upload(input);
      }) as never,
    },
    ...{ world: fakeWorld(), sink },
    tell: {
      uploaded: (one) => Promise.resolve(void uploaded.push(one)),
      interrupted: ({ about }, end) => Promise.resolve(void interrupted.push({ sid: about.sid, ...end })),
    },
  });
  return uploads;
}

function chunks(...texts: string[]): Chunk[] {
  const cutter = new ChunkCutter({ sid: testSid, key: testKey, elapsedMs: () => 0, wallMs: () => 0 });
  return texts.flatMap((text, i) => {
    cutter.add({ type: 'output', bytes: Buffer.from(text) });
    return cutter.cut(i === texts.length - 1) ?? [];
  });
}

/** What a process that is gone has left. */
async function orphan(status: 'recording' | 'ended', all: readonly Chunk[]): Promise<string> {
  const name = `${testSid}.${gone.pid}.${gone.startTime}-0000000b.${status}`;
  const file = await createRecordingFile(join(directory, name), {
    about: testAbout,
    details,
    sealedKey: 'AAAA',
  });
  if (all.length > 0) await file.write(all);
  await file.close();
  return name;
}

const soon = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 8_000, interval: 20 });
const files = (): string[] => readdirSync(directory);

describe('recordings of a process that is gone', () => {
  it('are sent; whose end is not on record, it is told where that came to', async () => {
    const all = chunks('one ', 'two ', 'three');
    await orphan('recording', all.slice(0, 2));
    open();
    await soon(() => {
      expect(files()).toEqual([]);
    });
    const head = all[1]?.hash.toString('hex');
    expect(outputOf(framesOf(stored))).toBe('one two ');
    expect(interrupted).toEqual([{ sid: testSid, chunks: 2, head, bytes: 8 }]);
    expect(uploaded).toEqual([{ sid: testSid, user: 'alice', place: 'there', chunks: 2, head }]);
  });

  it('are sent, and nothing else is told, where the end is on record', async () => {
    await orphan('ended', chunks('all'));
    open();
    await soon(() => {
      expect([files(), uploaded.length, interrupted]).toEqual([[], 1, []]);
    });
  });

  it('go on where auth has a part already', async () => {
    const all = chunks('one ', 'two ', 'three');
    stored.push(...all.slice(0, 2));
    await orphan('ended', all);
    open();
    await soon(() => {
      expect(files()).toEqual([]);
    });
    expect(outputOf(framesOf(stored))).toBe('one two three');
  });

  it('cut short in the middle of a chunk have the chunks before', async () => {
    const name = await orphan('recording', chunks('one ', 'two'));
    const bytes = readFileSync(join(directory, name));
    writeFileSync(join(directory, name), bytes.subarray(0, -5));
    open();
    await soon(() => {
      expect(files()).toEqual([]);
    });
    expect(outputOf(framesOf(stored))).toBe('one ');
  });

  it('without any chunk end as one that auth has something or nothing of', async () => {
    await orphan('recording', []);
    open();
    await soon(() => {
      expect([files(), uploaded]).toEqual([[], []]);
    });
    expect(interrupted).toEqual([{ sid: testSid, chunks: 0, head: '', bytes: 0 }]);
  });

  it('that auth never takes are put aside and said, and hinder no other', async () => {
    await orphan('ended', chunks('bad'));
    refuse = (call) => (call === 1 ? new CodedError('damaged', 'not of this session') : undefined);
    open();
    await soon(() => {
      expect(files()).toEqual([expect.stringMatching(/\.refused$/)]);
    });
    expect(sink.lines.join('\n')).toMatch(/auth does not take a recording.*not of this session/);
    writeFileSync(join(directory, `${testSid}.${gone.pid}.1-0000000c.ended`), 'no recording at all');
    uploads?.adopt();
    await soon(() => {
      expect(files().every((name) => name.endsWith('.refused'))).toBe(true);
    });
  });

  it('that were erased are deleted', async () => {
    await orphan('ended', chunks('gone'));
    refuse = () => new CodedError('not_found', 'it was erased');
    open();
    await soon(() => {
      expect(files()).toEqual([]);
    });
    expect(uploaded).toEqual([]);
  });

  it('begin again where auth has less than it was thought to have', async () => {
    const all = chunks('one ', 'two ', 'three');
    await orphan('ended', all);
    // Another auth server, which has not seen the first chunks yet.
    forget = (call) => call === 2;
    open();
    await soon(() => {
      expect(files()).toEqual([]);
    });
    expect(outputOf(framesOf(stored))).toBe('one two three');
  });

  it('of which the disk does not give the bytes are said, and left for later', async () => {
    const name = await orphan('ended', chunks('x'));
    rmSync(join(directory, name));
    mkdirSync(join(directory, name));
    open();
    await soon(() => {
      expect(sink.lines.join('\n')).toMatch(/a recording on this disk could not be taken care of/);
    });
    expect(files()).toEqual([name]);
    expect(uploads?.pending).toBe(0);
  });

  it('wait for auth while it is away', async () => {
    await orphan('ended', chunks('later'));
    refuse = (call) => (call < 3 ? new CodedError('unavailable', 'away') : undefined);
    open();
    await soon(() => {
      expect([files(), calls >= 3]).toEqual([[], true]);
    });
  });
});

describe('a recording of this process', () => {
  it('is sent while it goes on, and is whole once its end is on record', async () => {
    const all = chunks('one ', 'two ', 'three') as [Chunk, Chunk, Chunk];
    const begun = open().begin({ about: testAbout, details, sealedKey: 'AAAA' });
    await begun.sink.write(all.slice(0, 1));
    await soon(() => {
      expect(outputOf(framesOf(stored))).toBe('one ');
    });
    await begun.sink.write(all.slice(1));
    await begun.sink.close();
    begun.ended({ chunks: 3, head: '', bytes: 0, lostBytes: 0 });
    await soon(() => {
      expect(stored.length).toBe(3);
    });
    expect([uploaded, files().length]).toEqual([[], 1]);
    begun.told();
    await soon(() => {
      expect([files(), interrupted, uploaded.length]).toEqual([[], [], 1]);
    });
    expect(uploads?.pending).toBe(0);
  });

  it('that did not begin leaves nothing', async () => {
    const begun = open().begin({ about: testAbout, details, sealedKey: 'AAAA' });
    await begun.sink.close();
    begun.abandoned();
    await soon(() => {
      expect([files(), uploads?.pending, calls]).toEqual([[], 0, 0]);
    });
  });

  it('whose end is put on record before anything is sent is whole then', async () => {
    refuse = (call) => (call < 3 ? new CodedError('unavailable', 'away') : undefined);
    const begun = open().begin({ about: testAbout, details, sealedKey: 'AAAA' });
    await begun.sink.write(chunks('all'));
    begun.ended({ chunks: 1, head: '', bytes: 3, lostBytes: 0 });
    begun.told();
    await soon(() => {
      expect([files(), interrupted, uploaded.length]).toEqual([[], [], 1]);
    });
  });

  it('at auth alone goes on without its mark where the disk is full, and the log says what that means', async () => {
    const opened = open();
    rmSync(directory, { recursive: true });
    const begun = await opened.beginRemote({ about: testAbout, details, sealedKey: 'AAAA' });
    expect(sink.lines.join('\n')).toMatch(/if this process is killed, the end of a session is not recorded/);
    begun.told(undefined);
    await opened.stop();
    expect(uploaded).toEqual([]);
    mkdirSync(directory);
  });

  it('at auth alone leaves a mark while it goes on, and tells of itself at its end', async () => {
    const begun = await open().beginRemote({ about: testAbout, details, sealedKey: 'AAAA' });
    expect(files()).toEqual([expect.stringMatching(/\.recording$/)]);
    begun.told({ sid: testSid, user: 'alice', place: 'there', chunks: 1, head: 'h' });
    await soon(() => {
      expect([files(), uploaded.length]).toEqual([[], 1]);
    });
  });
});
