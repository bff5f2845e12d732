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
});
