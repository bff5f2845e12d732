import { describe, expect, it } from 'vitest';
import { loginAttempts } from '../domain/login-attempts.ts';
import { user } from '../domain/user.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { attemptsIn, attemptsStart, type AttemptsState, attemptsView } from './login-attempts.ts';
import { recordedAt } from './testing.ts';

const addresses = { remote: 'r', local: 'l' };
const begun: Fact = {
  type: 'attempts.begun',
  data: {
    ...{ era: { cleared: 1, forgotten: 1 }, otp: { id: 'o1', lastStep: 3 } },
    ...{ failures: [], lock: null, sourceLocks: [], knownSources: [] },
  },
};
const loggedIn: Fact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'matched', step: 4 }, addresses, source: 'home' },
};
const ofTomorrow: Fact = { type: 'user.logged_in_otherwise', data: {} };

const folded = (...facts: readonly (readonly [StreamName, Fact])[]): AttemptsState => {
  const revisions = new Map<StreamName, number>();
  return facts.reduce((state, [stream, fact], i) => {
    const revision = (revisions.get(stream) ?? 0) + 1;
    revisions.set(stream, revision);
    return attemptsView.apply(state, { ...recordedAt(i + 1, stream, fact), revision });
  }, attemptsView.initial);
};
const joe = folded(['user-joe', begun], ['user-joe', loggedIn], ['heads-attempts', loggedIn]);
const viewOf = (state: AttemptsState, failure?: Error) => ({ state: () => state, failure: () => failure });

describe('the attempts of users', () => {
  it('are known with their revision and the last login', () => {
    expect(joe.size).toBe(1);
    expect(attemptsIn(joe, 'joe')).toMatchObject({
      attempts: { otp: { id: 'o1', lastStep: 4 }, knownSources: ['home'] },
      ...{ revision: 2, status: 'known', lastLoginAt: expect.any(String) as string },
    });
    expect(attemptsIn(joe, 'amy')).toBeUndefined();
  });

  it('are the same from a snapshot', () => {
    const stored: unknown = JSON.parse(JSON.stringify(attemptsView.encode(joe)));
    expect(attemptsIn(attemptsView.decode(stored), 'joe')).toEqual(attemptsIn(joe, 'joe'));
  });

  it('begin decisions, of those that can be read, as long as the view follows', () => {
    const start = attemptsStart(viewOf(joe));
    expect(start(loginAttempts, 'user-joe')).toEqual({
      ...{ revision: 2, state: attemptsIn(joe, 'joe')?.attempts },
    });
    expect([start(loginAttempts, 'user-amy'), start(user, 'user-joe')]).toEqual([undefined, undefined]);
    expect(attemptsStart(viewOf(joe, new Error('damaged')))(loginAttempts, 'user-joe')).toBeUndefined();
    const unread = folded(['user-joe', begun], ['user-joe', ofTomorrow], ['user-joe', loggedIn]);
    expect(attemptsIn(unread, 'joe')).toMatchObject({ revision: 3, status: 'unreadable' });
    expect(attemptsStart(viewOf(unread))(loginAttempts, 'user-joe')).toBeUndefined();
  });

  it('are in no other place: another name of the view needs a way from this one', () => {
    expect(attemptsView.name === 'attempts.1' || attemptsView.earlier !== undefined).toBe(true);
    expect(attemptsView.saidAgainWithinMs).toBeUndefined();
  });
});
