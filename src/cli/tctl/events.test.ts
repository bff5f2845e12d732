import { describe, expect, it } from 'vitest';
import { rowOf } from './events.ts';

describe('a row of events ls', () => {
  it('tells what was done before where, so that it is not what is cut off', () => {
    const [, , , , details] = rowOf({
      event: 'exec',
      code: 'T3002I',
      uid: 'u',
      time: '2026-11-23T12:30:52.461Z',
      user: 'alice',
      sid: '5a3e9276-8436-4d5c-ad2e-20197016485d',
      server_id: '252ecc5d-aba2-4519-aa0e-6fb687f127cd',
      'addr.local': '192.0.2.2:3022',
      'addr.remote': '127.0.0.1:59650',
      server_hostname: 'node2',
      login: 'root',
      command: 'rm -r /srv/x',
      exitCode: '0',
    } as never);
    expect(details).toMatch(
      /^login=root command=rm -r \/srv\/x exitCode=0 server_hostname=node2 addr\.remote=/,
    );
  });

  it('of a session begins with its id, and says how it was recorded', () => {
    const [, , , , details] = rowOf({
      ...{ event: 'session.end', code: 'T2004I', uid: 'u', time: '2026-11-23T12:30:52.461Z', ei: 4 },
      ...{ user: 'alice', enhanced_recording: false, interactive: true, participants: ['alice'] },
      ...{ session_start: '2026-11-23T12:30:52.461Z', recording_head: 'ab'.repeat(32) },
      ...{ session_recording: 'node', recording_bytes: 12, recording_lost_bytes: 0 },
      ...{ server_hostname: 'node2', sid: '5a3e9276-8436-4d5c-ad2e-20197016485d' },
    });
    expect(details).toMatch(/^sid=5a3e9276\S+ interactive=true .*session_recording=node recording_bytes=12 /);
  });
});
