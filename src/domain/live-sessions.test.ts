import { describe, expect, it } from 'vitest';
import { type LiveSession, liveSessions, mostLiveBytes, reportOf } from './live-sessions.ts';

const session = (n: number, more: Partial<LiveSession> = {}): LiveSession => ({
  sid: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
  ...{ user: 'alice', login: 'root', from: '10.0.0.1' },
  startedAt: `2026-01-01T00:00:00.${String(n).padStart(3, '0')}Z`,
  ...more,
});

describe('what a heartbeat tells of the sessions of a node', () => {
  it('has the newest first, and says how many it does not name', () => {
    const all = Array.from({ length: 900 }, (_, n) => session(n));
    const { known, more } = reportOf(all);
    expect(known[0]).toEqual(session(899));
    expect(known.length).toBeGreaterThan(100);
    expect(known.length + (more ?? 0)).toBe(900);
    expect(JSON.stringify(reportOf(all)).length).toBeLessThanOrEqual(mostLiveBytes);
    expect(liveSessions.parse(reportOf(all))).toEqual({ known, more });
    expect(reportOf([session(1)])).toEqual({ known: [session(1)] });
  });

  it('is the same in whatever order they are given', () => {
    const same = { startedAt: '2026-01-01T00:00:00.000Z' };
    const some = [session(1, same), session(2, same), session(3)];
    expect(reportOf(some.toReversed())).toEqual(reportOf(some));
  });

  it.each([
    ['a user with hidden characters', { user: 'al\u202eice' }],
    ['a login of two lines', { login: 'a\nb' }],
    ['an id that is none', { sid: '../x' }],
  ])('leaves out %s, which auth would not take', (_what, more) => {
    expect(reportOf([session(1), session(2, more)])).toEqual({ known: [session(1)] });
  });
});
