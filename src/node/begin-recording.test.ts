import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { beginRecording } from './begin-recording.ts';
import type { RecordedSession, SessionRecording } from './recording/session-recordings.ts';
import { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';
import { testAudit, testSubject } from './testing.ts';

const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };

function begin(begins: (session: RecordedSession) => Promise<SessionRecording | undefined>, command = '') {
  const test = testAudit();
  const context = {
    ...{ ...test, subject: testSubject, labels: () => ({}), nameSession: () => ({ id: test.world.uuid() }) },
    ...{ hostId: 'h', nodename: 'n', clusterName: 'main', recordings: { begin: begins } },
  } as unknown as SessionContext;
  const audit = new SessionAudit(context);
  return {
    ...test,
    sid: audit.sessionId,
    made: beginRecording(context, { audit, command, term: 'xterm', size }),
  };
}

describe('the recording of a session', () => {
  it.each(['', 'make'])('says whose it is, where, and what was asked for: %j', async (command) => {
    const given: RecordedSession[] = [];
    const { made, sid } = begin((one) => {
      given.push(one);
      return Promise.resolve(undefined);
    }, command);
    expect(await made).toBeUndefined();
    expect(given[0]).toMatchObject({
      about: { sid, user: 'ann', login: 'joe', hostname: 'n', columns: 80, rows: 24, term: 'xterm' },
      details: { user: 'ann', login: 'joe', requestId: 'r', addresses: { 'addr.remote': '127.0.0.1:1' } },
      policy: 'usual',
    });
    expect(given[0]?.about.command).toBe(command === '' ? undefined : command);
  });

  it('that cannot begin keeps the session from beginning, and the audit knows why', async () => {
    const { made, events } = begin(() => Promise.reject(new CodedError('no_space', 'the disk is full')));
    await expect(made).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'Failed to launch: the session cannot be recorded, and may not begin without: the disk is full.',
    });
    expect(events).toMatchObject([{ event: 'session.recording.failed', reason: 'the disk is full' }]);
  });

  it('hides no bug', async () => {
    const { made, events } = begin(() => Promise.reject(new TypeError('a bug')));
    await expect(made).rejects.toThrow(TypeError);
    expect(events).toEqual([]);
  });
});
