import { expect, it } from 'vitest';
import type { LiveSessionList } from '../live-sessions.ts';
import type { SessionRecording } from '../recording/session-recordings.ts';
import type { SessionContext } from '../session-context.ts';
import { testAudit, testSubject } from '../testing.ts';
import { shareTerminal } from './share-terminal.ts';
import { SharedSessions } from './shared-terminal.ts';

type LiveSession = Parameters<LiveSessionList['begin']>[0];

function share(recording?: SessionRecording) {
  const listed: LiveSession[] = [];
  const told: string[] = [];
  const shared = new SharedSessions();
  const changes = { count: 0 };
  const context = {
    ...{ ...testAudit(), subject: testSubject, roleNames: () => ['dev'], shared, idleMs: () => 5 },
    liveSessions: {
      begin: (session: LiveSession) => {
        listed.push(session);
        return () => void listed.splice(listed.indexOf(session), 1);
      },
      changed: () => (changes.count += 1),
    },
  } as unknown as SessionContext;
  const sharing = shareTerminal(context, {
    ...{ sid: 's', size: { columns: 20, rows: 4 }, recording, nextIndex: () => 1 },
    tell: (text) => told.push(text),
    end: () => undefined,
  });
  return { ...sharing, listed, told, shared, changes };
}

it('a session is listed, and found by whoever joins, until it is over', () => {
  const { listed, shared, terminal, over } = share();
  expect(listed).toMatchObject([{ sid: 's', user: 'ann', login: 'joe', from: '127.0.0.1' }]);
  expect(shared.find('s')).toBe(terminal);
  over();
  expect([listed, shared.find('s')]).toEqual([[], undefined]);
});

it('its owner, its recording and the lists are told who comes and goes', () => {
  const took: string[] = [];
  const recording = {
    took: (what: string, { user, mode }: { user: string; mode?: string }) =>
      took.push(`${user} ${what} ${mode}`),
  } as unknown as SessionRecording;
  const { terminal, told, listed, changes } = share(recording);
  const guest = terminal.join({ user: 'b\x07ob', mode: 'observer' }, { columns: 20, rows: 4 });
  expect(listed[0]?.guests()).toMatchObject([{ mode: 'observer' }]);
  guest.leave();
  expect(told).toEqual([
    String.raw`${'\r\n'}b\x07ob joined this session as observer.`,
    String.raw`${'\r\n'}b\x07ob left this session.`,
  ]);
  expect([took.map((one) => one.split(' ')[1]), changes.count]).toEqual([['joined', 'left'], 2]);
});
