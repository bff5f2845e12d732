import { expect, it } from 'vitest';
import { testAbout, testSid } from '../../recording/testing.ts';
import { testAudit } from '../testing.ts';
import { tellRecordings } from './tell-recordings.ts';

const addresses = { 'addr.remote': '192.0.2.1:5', 'addr.local': '192.0.2.9:3022' };
const details = {
  ...{ user: 'alice', login: 'root', requestId: 'r-1', startedAt: testAbout.startedAt, addresses },
};

it('tells of a stored recording with the same uid however often, and another one for another head', async () => {
  const { audit, events, world } = testAudit();
  const tell = tellRecordings(audit, world);
  const one = { sid: testSid, user: 'alice', place: 'file:///x', chunks: 3, head: 'aa' };
  await tell.uploaded(one);
  await tell.uploaded(one);
  await tell.uploaded({ ...one, head: 'bb' });
  expect(events[0]).toMatchObject({
    ...{ event: 'session.upload', sid: testSid, user: 'alice', url: 'file:///x' },
    ...{ recording_head: 'aa', recording_chunks: 3, server_id: 'h' },
  });
  expect(events[1]?.uid).toBe(events[0]?.uid);
  expect(events[2]?.uid).not.toBe(events[0]?.uid);
});

it('tells the end of a session whose process is gone, with what its recording has', async () => {
  const { audit, events, world } = testAudit();
  const tell = tellRecordings(audit, world);
  const end = { chunks: 2, head: 'cc', bytes: 8 };
  await tell.interrupted({ about: testAbout, details, sealedKey: '' }, end);
  await tell.interrupted({ about: testAbout, details, sealedKey: '' }, end);
  expect(events[0]).toMatchObject({
    ...{ event: 'session.end', sid: testSid, user: 'alice', login: 'root', request_id: 'r-1', proto: 'ssh' },
    ...{ session_recording: 'interrupted', interactive: true, participants: ['alice'] },
    ...{ recording_head: 'cc', recording_chunks: 2, recording_bytes: 8, 'addr.remote': '192.0.2.1:5' },
    ...{ session_start: testAbout.startedAt, session_stop: world.now() },
  });
  expect(events[1]?.uid).toBe(events[0]?.uid);
});

it('refuses details that no node has written', async () => {
  const { audit, events, world } = testAudit();
  const tell = tellRecordings(audit, world);
  const end = { chunks: 0, head: '', bytes: 0 };
  await expect(
    Promise.resolve().then(() =>
      tell.interrupted({ about: testAbout, details: { ...details, user: 1 }, sealedKey: '' }, end),
    ),
  ).rejects.toThrow(/user/);
  expect(events).toEqual([]);
});
