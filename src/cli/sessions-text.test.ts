import { describe, expect, it } from 'vitest';
import { filteredSessions, type RunningSession, sessionsText } from './sessions-text.ts';

const session = (n: number, more: Partial<RunningSession> = {}): RunningSession => ({
  ...{ sid: `00000000-0000-4000-8000-00000000000${n}`, user: 'alice', login: 'root', from: '10.0.0.1' },
  ...{ hostId: `h${n}`, nodename: 'db', startedAt: '2026-01-01T00:00:00.123Z' },
  ...more,
});

describe('sessions that run now', () => {
  it('are a table, with how long nothing happened and what is not named', () => {
    const text = sessionsText(
      {
        sessions: [session(1), session(2, { idleSince: '2026-01-01T00:50:00.000Z' })],
        unnamed: [{ hostId: 'h1', nodename: 'db', count: 5 }],
      },
      '2026-01-01T01:00:00.500Z',
    );
    expect(text).toMatch(/^ID +User +Login +Node +Since +Idle +From +Joined by *$/m);
    expect(text).toMatch(/0001 alice root +db +2026-01-01T00:00:00Z - +10\.0\.0\.1/);
    expect(text).toMatch(/0002 alice .* 10m0s /);
    expect(text).toContain('5 more on db (h1)');
    expect(sessionsText({ sessions: [], unnamed: [] }, '')).toBe('No sessions with a terminal run now.\n');
  });
  it('are chosen by user and by name or id of the node', () => {
    const all = { sessions: [session(1), session(2, { user: 'bob', nodename: 'web' })], unnamed: [] };
    const chosen = (filter: Parameters<typeof filteredSessions>[1]) =>
      filteredSessions(all, filter).sessions.map(({ hostId }) => hostId);
    expect(chosen({})).toEqual(['h1', 'h2']);
    expect(chosen({ user: 'bob' })).toEqual(['h2']);
    expect(chosen({ node: 'db' })).toEqual(['h1']);
    expect(chosen({ node: 'H2' })).toEqual(['h2']);
    expect(chosen({ node: 'db', user: 'bob' })).toEqual([]);
  });
});
