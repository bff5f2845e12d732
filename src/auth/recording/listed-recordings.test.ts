import { describe, expect, it } from 'vitest';
import { listedRecordings } from './listed-recordings.ts';

const event = (type: string, sid: string, more: object = {}) => ({
  ...{
    event: type,
    code: 'T',
    uid: sid,
    time: '2026-01-01T00:00:05.000Z',
    user: 'alice',
    login: 'root',
    sid,
  },
  ...{ server_id: 'h1', server_hostname: 'web' },
  ...more,
});
const end = (sid: string, second: number, more: object = {}) =>
  event('session.end', sid, {
    session_start: `2026-01-01T00:00:0${second}.000Z`,
    session_stop: '2026-01-01T00:00:09.000Z',
    ...{
      participants: ['alice', 'bob'],
      session_recording: 'node',
      recording_head: 'ab',
      recording_chunks: 3,
    },
    ...{ recording_bytes: 7, recording_lost_bytes: 1 },
    ...more,
  });

describe('recorded sessions', () => {
  it('are those with an end that tells of chunks, and those that go on in a terminal', () => {
    const sessions = [
      event('session.start', 'live', { size: '80:24' }),
      event('session.start', 'command'),
      event('session.start', 'ended', { size: '80:24' }),
      end('ended', 1),
      end('empty', 2, { recording_chunks: 0 }),
      event('session.end', 'unrecorded'),
    ];
    const rows = listedRecordings({ sessions, fates: [] });
    expect(rows.map(({ sid, status }) => [sid, status])).toEqual([
      ['ended', 'ended'],
      ['live', 'live'],
    ]);
    expect(rows[0]).toEqual({
      ...{ sid: 'ended', user: 'alice', login: 'root', hostId: 'h1', hostname: 'web', status: 'ended' },
      ...{ startedAt: '2026-01-01T00:00:01.000Z', endedAt: '2026-01-01T00:00:09.000Z' },
      ...{ participants: ['alice', 'bob'], mode: 'node', bytes: 7, lostBytes: 1, chunks: 3, head: 'ab' },
    });
  });

  it('are stored or erased as the audit says later, in the order in which they began', () => {
    const rows = listedRecordings({
      sessions: [end('c', 3), end('a', 1), end('b', 2)],
      fates: [
        event('session.upload', 'a'),
        event('session.upload', 'b'),
        event('session.recording.erase', 'b', { user: 'admin' }),
      ],
    });
    expect(rows.map(({ sid, status }) => [sid, status])).toEqual([
      ['a', 'stored'],
      ['b', 'erased'],
      ['c', 'ended'],
    ]);
  });
});
