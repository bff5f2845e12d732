import { describe, expect, it } from 'vitest';
import {
  eraseRecording,
  type ListedRecording,
  listRecordings,
  openRecording,
} from '../../../api/operations/recording.ts';
import { CodedError } from '../../../base/errors.ts';
import { chunksOf, output } from '../../../recording/playing/testing.ts';
import { testSid } from '../../../recording/testing.ts';
import { AnsweringAuth } from '../../testing.ts';
import { authWith, spoilt } from '../../recordings/testing.ts';
import { testIo } from '../../tsh/testing.ts';
import { tctlInvocation } from '../testing.ts';
import { eraseRecorded, listRecorded } from './recordings.ts';
import { searchRecorded } from './recordings-search.ts';

const listed = (change: Partial<ListedRecording> = {}): ListedRecording => ({
  sid: testSid,
  user: 'alice',
  login: 'root',
  hostId: 'host-1',
  hostname: 'web-1',
  startedAt: '2026-01-31T07:00:00.000Z',
  endedAt: '2026-01-31T07:01:30.400Z',
  participants: ['alice'],
  status: 'stored',
  bytes: 12,
  ...change,
});

const listing = (
  recordings: ListedRecording[],
  truncated = false,
  auth = new AnsweringAuth(),
): AnsweringAuth => auth.on(listRecordings, () => ({ recordings, truncated }));

const rowsOf = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((row) => row.trimEnd());

describe('tctl recordings ls', () => {
  it('asks for what its flags say, the last day without any', async () => {
    const auth = listing([]);
    const io = testIo('');
    expect(await listRecorded(tctlInvocation('recordings', 'ls'), io, auth.ask)).toBe(0);
    const flags = ['--from=2h', '--to=30m', '--user=bob', '--node=web-1', '--limit=7'];
    await listRecorded(tctlInvocation('recordings', 'ls', ...flags), io, auth.ask);
    expect(auth.calls).toEqual([
      [
        'recording.list',
        { from: '2026-01-30T08:00:00.000Z', to: '2026-01-31T08:00:00.000Z', user: '', node: '', limit: 500 },
      ],
      [
        'recording.list',
        {
          from: '2026-01-31T06:00:00.000Z',
          to: '2026-01-31T07:30:00.000Z',
          user: 'bob',
          node: 'web-1',
          limit: 7,
        },
      ],
    ]);
    expect(io.out()).toBe('No recordings found\n'.repeat(2));
  });

  it('prints a row for each, with what is not known left out and what is lost told', async () => {
    const live = { status: 'live', hostname: '', endedAt: undefined, bytes: undefined } as const;
    const io = testIo('');
    const auth = listing([listed(), listed(live), listed({ lostBytes: 3 })], true);
    expect(await listRecorded(tctlInvocation('recordings', 'ls'), io, auth.ask)).toBe(0);
    const rows = rowsOf(io.out()).map((row) => row.replaceAll(/ +/g, ' '));
    const begin = `${testSid} alice root`;
    expect(rows.slice(2)).toEqual([
      `${begin} web-1 2026-01-31 07:00:00 1m30s 12 stored`,
      `${begin} host-1 2026-01-31 07:00:00 live`,
      `${begin} web-1 2026-01-31 07:00:00 1m30s 12 stored, 3 bytes lost`,
    ]);
    expect(io.err()).toBe('Only the newest 3 are shown: raise --limit or narrow --from and --to.\n');
  });

  it('prints a JSON object on each line', async () => {
    const io = testIo('');
    const auth = listing([listed(), listed({ user: 'bob' })]);
    await listRecorded(tctlInvocation('recordings', 'ls', '--format=json'), io, auth.ask);
    expect(rowsOf(io.out()).map((row): unknown => JSON.parse(row))).toEqual([
      listed(),
      listed({ user: 'bob' }),
    ]);
    expect(io.err()).toBe('');
  });

  it('names the flag that it cannot read, and asks nobody', async () => {
    const auth = listing([]);
    for (const [flag, wrong] of [
      ['--from', 'yesterday'],
      ['--to', '-'],
      ['--limit', '0'],
      ['--limit', '5001'],
    ] as const)
      await expect(
        listRecorded(tctlInvocation('recordings', 'ls', `${flag}=${wrong}`), testIo(''), auth.ask),
      ).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining(flag) as string });
    expect(auth.calls).toEqual([]);
  });
});

describe('tctl recordings erase', () => {
  const erasing = (): AnsweringAuth =>
    new AnsweringAuth().on(eraseRecording, () => ({ status: 'erased' as const }));

  it('destroys the key, with the reason', async () => {
    const [auth, io] = [erasing(), testIo('')];
    const asked = tctlInvocation('recordings', 'erase', testSid, '--yes', '--reason=a password is in it');
    expect(await eraseRecorded(asked, io, auth.ask)).toBe(0);
    expect(auth.calls).toEqual([['recording.erase', { sid: testSid, reason: 'a password is in it' }]]);
    expect(io.out()).toBe(`The recording of session ${testSid} was erased.\n`);
  });

  it('erases nothing without a yes, or of a session whose id is none', async () => {
    const auth = erasing();
    await expect(
      eraseRecorded(tctlInvocation('recordings', 'erase', testSid), testIo(''), auth.ask),
    ).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/^nothing was changed/) as string,
    });
    for (const sid of ['', testSid.slice(1), testSid.toUpperCase(), `${testSid}/..`])
      await expect(
        eraseRecorded(tctlInvocation('recordings', 'erase', sid, '--yes'), testIo(''), auth.ask),
      ).rejects.toThrow(`'${sid}' is not a valid session ID (must be GUID)`);
    expect(auth.calls).toEqual([]);
  });
});

describe('tctl recordings search', () => {
  const chunks = chunksOf(
    [output(0, 'make\r\n'), output(2_000, '  Pass')],
    [output(3_000, 'word: \x1b[1mx\x1b[0m\r\nbye\r\n')],
  );
  const search = tctlInvocation('recordings', 'search', 'PASSWORD');
  const other = '0b0a5b1e-3f2b-4c5d-8e9f-000000000002';

  it('prints the lines in which the text is, whose they are, and when they were', async () => {
    const io = testIo('');
    const auth = listing(
      [listed({ sid: other, status: 'erased' }), listed()],
      true,
      authWith(chunks, { atOnce: 1 }),
    );
    expect(await searchRecorded(search, io, auth.ask)).toBe(0);
    expect(io.out()).toBe(`${testSid} 2026-01-31T07:00:03Z alice@web-1: Password: x\n`);
    expect(io.err()).toMatch(/^Only the newest 2 are shown/);
    expect(auth.called).toEqual(['recording.list', 'recording.open', 'recording.read', 'recording.read']);
  });

  it('prints JSON with the line as it was', async () => {
    const io = testIo('');
    const auth = listing([listed()], false, authWith(chunks));
    await searchRecorded(tctlInvocation('recordings', 'search', 'word', '--format=json'), io, auth.ask);
    expect(JSON.parse(io.out())).toEqual({
      ...{ sid: testSid, user: 'alice', hostname: 'web-1' },
      ...{ time: '2026-01-31T07:00:03.000Z', ms: 3_000, line: '  Password: x' },
    });
  });

  it('has status 1 where nothing is found', async () => {
    const io = testIo('');
    const auth = listing([listed()], false, authWith(chunks));
    expect(await searchRecorded(tctlInvocation('recordings', 'search', 'passport'), io, auth.ask)).toBe(1);
    expect([io.out(), io.err()]).toEqual(['', '']);
  });

  it('names a recording that cannot be read to its end, and goes on with the next', async () => {
    const io = testIo('');
    const auth = listing(
      [listed(), listed({ user: 'bob' })],
      false,
      authWith(spoilt(chunks, 1), { head: 'aa' }),
    );
    expect(await searchRecorded(tctlInvocation('recordings', 'search', 'make'), io, auth.ask)).toBe(1);
    const warning = `WARNING: session ${testSid} was not searched to its end: the recording of ${testSid}: chunk 1 is not what was stored\n`;
    expect(io.err()).toBe(warning.repeat(2));
  });

  it('says nothing of a live session that is not there yet, and fails where auth is away', async () => {
    const io = testIo('');
    const auth = listing([listed({ status: 'live' })], false);
    const failing = (code: 'not_found' | 'unavailable'): Promise<number> => {
      auth.on(openRecording, () => {
        throw new CodedError(code, 'not now');
      });
      return searchRecorded(search, io, auth.ask);
    };
    expect(await failing('not_found')).toBe(1);
    expect(io.err()).toBe('');
    await expect(failing('unavailable')).rejects.toThrow('not now');
  });

  it('looks for no empty text', async () => {
    const auth = listing([]);
    await expect(
      searchRecorded(tctlInvocation('recordings', 'search', ''), testIo(''), auth.ask),
    ).rejects.toMatchObject({ code: 'bad_request' });
    expect(auth.calls).toEqual([]);
  });
});
