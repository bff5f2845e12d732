import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { searchAudit } from '../../../api/operations/audit.ts';
import { openRecording } from '../../../api/operations/recording.ts';
import { CodedError } from '../../../base/errors.ts';
import type { Chunk } from '../../../recording/chunk.ts';
import { chunksOf, type Happened, output } from '../../../recording/playing/testing.ts';
import { testAbout, testSid } from '../../../recording/testing.ts';
import { authWith, exported, spoilt } from '../../recordings/testing.ts';
import { AnsweringAuth } from '../../testing.ts';
import { testIo } from '../../tsh/testing.ts';
import { tctlInvocation } from '../testing.ts';
import { exportRecorded } from './recordings-export.ts';
import { verifyRecorded } from './recordings-verify.ts';

const lost: Happened = [20, { type: 'gap', gap: { bytes: 7, reason: 'the disk is full' } }];
const chunks = chunksOf([output(0, 'one ')], [output(10, 'two'), lost]);
const head = (all: readonly Chunk[]): string => all.at(-1)?.hash.toString('hex') ?? '';
const known = (all: readonly Chunk[], wish = {}): AnsweringAuth =>
  authWith(all, wish).on(searchAudit, () => ({ events: [], truncated: false }));
/** The session goes on. */
const open = chunks.slice(0, 1);
const later = '2026-12-04T00:00:00.000Z';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recordings-'));
  path = join(folder, 'session');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('tctl recordings export', () => {
  const asked = (): ReturnType<typeof tctlInvocation> =>
    tctlInvocation('recordings', 'export', testSid, path);

  it('writes all of it and its key into a file for its owner alone', async () => {
    const io = testIo('');
    expect(await exportRecorded(asked(), io, authWith(chunks, { atOnce: 1 }).ask)).toBe(0);
    expect(readFileSync(path).equals(exported(chunks))).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(io.out()).toBe(`2 chunks, 7 bytes of output, in ${path}. Whoever has the file can play it.\n`);
    expect(io.err()).toBe('');
  });

  it('tells that the end of a session is not in it', async () => {
    const io = testIo('');
    expect(await exportRecorded(asked(), io, authWith(open).ask)).toBe(0);
    expect(readFileSync(path).equals(exported(open))).toBe(true);
    expect(io.err()).toMatch(/^the recording has no end: its session goes on/);
  });

  it('leaves no file where not all can be had', async () => {
    for (const [auth, message] of [
      [authWith(chunks, { atOnce: 1, head: 'aa' }), /chunk 1 is not what was stored/],
      [authWith([]), /nothing of it is stored yet/],
      [authWith(chunks.slice(1), { known: 2 }), /chunk 1 comes where 0 is due/],
    ] as const) {
      const io = testIo('');
      await expect(exportRecorded(asked(), io, auth.ask)).rejects.toThrow(message);
      expect(readdirSync(folder)).toEqual([]);
      expect(io.out()).toBe('');
    }
  });

  it('keeps a file that is there', async () => {
    writeFileSync(path, 'mine');
    await expect(exportRecorded(asked(), testIo(''), authWith(chunks).ask)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/^cannot make the file .*EEXIST/) as string,
    });
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  it('asks for nothing whose id is none', async () => {
    const auth = authWith(chunks);
    const wrong = tctlInvocation('recordings', 'export', 'x'.repeat(100), path);
    await expect(exportRecorded(wrong, testIo(''), auth.ask)).rejects.toThrow(
      `'${'x'.repeat(64)}' is not a valid session ID (must be GUID)`,
    );
    expect(auth.calls).toEqual([]);
  });
});

describe('tctl recordings verify', () => {
  const verify = (named: string, ...flags: string[]): ReturnType<typeof tctlInvocation> =>
    tctlInvocation('recordings', 'verify', named, ...flags);
  const summary = `session ${testSid}: 2 chunks, 7 bytes of output, 7 bytes declared as lost`;
  const ended = (recordingHead: string): { readonly events: never[]; readonly truncated: boolean } => ({
    events: [
      {
        ei: 1,
        event: 'session.end',
        code: 'T2004I',
        time: later,
        uid: '0b0a5b1e-0000-4000-8000-00000000000a',
        sid: 'another',
        recording_head: 'aa',
      },
      {
        ei: 2,
        event: 'session.end',
        code: 'T2004I',
        time: later,
        uid: '0b0a5b1e-0000-4000-8000-00000000000b',
        sid: testSid,
        recording_head: recordingHead,
      },
    ] as never[],
    truncated: false,
  });

  it('finds a recording whole, with the head that the audit has', async () => {
    const io = testIo('', later);
    const auth = known(chunks, { atOnce: 1 }).on(searchAudit, () => ended(head(chunks)));
    expect(await verifyRecorded(verify(testSid), io, auth.ask)).toBe(0);
    expect(io.out()).toBe(`${summary}\nhead ${head(chunks)}, as the audit says\nok, to its end\n`);
    expect(auth.calls.at(-1)).toEqual([
      'audit.search',
      { from: '2026-12-03T08:00:00.000Z', to: later, types: ['session.end'], user: 'alice', limit: 10_000 },
    ]);
  });

  it('prints JSON of one that goes on', async () => {
    const io = testIo('', later);
    expect(await verifyRecorded(verify(testSid, '--format=json'), io, known(open).ask)).toBe(0);
    expect(JSON.parse(io.out())).toEqual({
      ...{ sid: testSid, user: 'alice', startedAt: testAbout.startedAt, chunks: 1, bytes: 4, lostBytes: 0 },
      ...{ head: head(open), isOver: false, isTold: false },
    });
  });

  it('says that it did not ask the audit, where the caller may not see it', async () => {
    const io = testIo('', later);
    const auth = known(open).on(searchAudit, () => {
      throw new CodedError('access_denied', 'no rule lets bob list events');
    });
    expect(await verifyRecorded(verify(testSid), io, auth.ask)).toBe(0);
    expect(io.err()).toBe('not compared with the audit: no rule lets bob list events\n');
    expect(io.out()).toMatch(
      /\nhead [0-9a-f]{64}\nok, as far as it goes: the end of the session is not in it\n$/,
    );
    auth.on(searchAudit, () => {
      throw new CodedError('unavailable', 'auth is away');
    });
    await expect(verifyRecorded(verify(testSid), testIo('', later), auth.ask)).rejects.toThrow(
      'auth is away',
    );
  });

  it('fails where the audit has another head, auth stored another chunk, or nothing is there', async () => {
    const audit = known(chunks).on(searchAudit, () => ended('ab'.repeat(32)));
    const told = `the chain of ${testSid} leads to ${head(chunks)}, and the last chunk was ${'ab'.repeat(32)}`;
    for (const [auth, code, message] of [
      [audit, 'damaged', told],
      [
        known(chunks, { head: 'aa' }),
        'damaged',
        `the recording of ${testSid}: chunk 1 is not what was stored`,
      ],
      [known([]), 'not_found', `nothing of session ${testSid} is recorded yet`],
    ] as const)
      await expect(verifyRecorded(verify(testSid), testIo('', later), auth.ask)).rejects.toMatchObject({
        code,
        message,
      });
    const gone = known(chunks).on(openRecording, () => {
      throw new CodedError('not_found', 'it was erased');
    });
    await expect(verifyRecorded(verify(testSid), testIo('', later), gone.ask)).rejects.toThrow(
      'it was erased',
    );
  });

  it('checks a file without the cluster', async () => {
    const auth = new AnsweringAuth();
    writeFileSync(path, exported(chunks));
    const io = testIo('');
    expect(await verifyRecorded(verify(path), io, auth.ask)).toBe(0);
    expect(io.out()).toBe(`${summary}\nhead ${head(chunks)}\nok, to its end\n`);
    await verifyRecorded(verify(path, `--head=${head(chunks)}`, '--format=json'), io, auth.ask);
    expect(JSON.parse(io.out())).toMatchObject({ isTold: true });
    await expect(verifyRecorded(verify(path, '--head=aa'), io, auth.ask)).rejects.toMatchObject({
      code: 'damaged',
    });
    expect(auth.calls).toEqual([]);
  });

  it('names what is bad in a file', async () => {
    const refused = async (content: Buffer, code: string, message: string): Promise<void> => {
      writeFileSync(path, content);
      const io = testIo('');
      await expect(verifyRecorded(verify(path), io, new AnsweringAuth().ask)).rejects.toMatchObject({
        code,
        message,
      });
      expect(io.out()).toBe('');
    };
    await refused(
      exported(chunks, false),
      'bad_request',
      `${path} is sealed: the key of its session is not in it`,
    );
    await refused(exported(spoilt(chunks, 1)), 'damaged', `chunk 1 of ${testSid} does not open`);
    await refused(
      Buffer.concat([exported(chunks), Buffer.from('more')]),
      'damaged',
      `${path}: 4 bytes after chunk 1 do not continue it`,
    );
    await refused(exported([]), 'not_found', `nothing of session ${testSid} is recorded yet`);
  });

  it('takes the id of a session or a file', async () => {
    await expect(verifyRecorded(verify('s1'), testIo(''), new AnsweringAuth().ask)).rejects.toMatchObject({
      code: 'bad_request',
      message: "'s1' is not a valid session ID (must be GUID), and no such file",
    });
  });
});
