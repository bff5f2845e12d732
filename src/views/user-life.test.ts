import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import type { UserFact } from '../domain/user-fact.ts';
import type { Recorded } from '../log/event.ts';
import { recordedAt } from './testing.ts';
import { userStandingOf } from './user-life.ts';
import { findUser, usersView, type UsersState } from './users.ts';

const at = '2026-01-01T12:00:00.000Z';
const hour = 3_600_000;
const created: UserFact = { type: 'user.created', data: { username: 'joe', roles: ['admin'], traits: {} } };
const deleted: UserFact = { type: 'user.deleted', data: {} };
const loggedIn: UserFact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'not_required' }, addresses: { remote: '', local: '' } },
};

const fold = (...events: Recorded[]): UsersState =>
  events.reduce((state, event) => usersView.apply(state, event), usersView.initial);
const issuedAt = (moment: string): number => Date.parse(moment) - 60_000;
const standing = (users: UsersState, lifeId: string, moment = at): string =>
  userStandingOf(users, { username: 'joe', lifeId, validFromMs: issuedAt(moment) }).status;

interface Step {
  readonly fact: UserFact;
  readonly clockMs: number;
}
interface Issued {
  readonly life: string;
  readonly moment: string;
}

/** The steps that the rules of a user allow, with the time that the log gives them: it does not go back. */
function asLogged(steps: readonly Step[]): { fact: UserFact; moment: string; lastAt: string }[] {
  let exists = false;
  let lastAt = '';
  return steps.flatMap(({ fact, clockMs }) => {
    if ((fact === created) === exists) return [];
    if (fact !== loggedIn) exists = !exists;
    const moment = plusMs(at, clockMs);
    if (moment > lastAt) lastAt = moment;
    return [{ fact, moment, lastAt }];
  });
}

function check(users: UsersState, life: string, one: Issued): void {
  const wanted = life === '' ? 'absent' : one.life === life ? 'present' : 'of_earlier';
  expect(standing(users, one.life, one.moment)).toBe(wanted);
  if (wanted !== 'of_earlier') return;
  // Of the release before, which names no event: nobody is let in who should not be.
  const since = findUser(users, 'joe')?.createdAt ?? '';
  expect(since >= one.moment).toBe(true);
  if (since > plusMs(one.moment, 1000)) expect(standing(users, '', one.moment)).toBe('of_earlier');
}

describe('the user that a certificate speaks of', () => {
  const first = recordedAt(1, 'user-joe', created, at);
  const second = recordedAt(3, 'user-joe', created, plusMs(at, 5 * hour));
  const again = fold(first, recordedAt(2, 'user-joe', deleted, at), second);

  it('is the one of the event that it names, whatever the moments say', () => {
    expect(standing(fold(first), first.id, plusMs(at, -5 * hour))).toBe('present');
    expect(standing(again, second.id, at)).toBe('present');
    expect(standing(again, first.id, plusMs(at, 9 * hour))).toBe('of_earlier');
  });
  it('is there, where none is named, when there was only ever one, though its creation is dated later', () => {
    expect(standing(fold(first), '', plusMs(at, -5 * hour))).toBe('present');
  });
  it('is told by the moment of issue where none is named and there were two', () => {
    expect(standing(again, '', plusMs(at, 5 * hour))).toBe('present');
    expect(standing(again, '', plusMs(at, 5 * hour - 1000))).toBe('of_earlier');
  });
  it('is not there when there is none of the name', () => {
    expect(standing(fold(first, recordedAt(2, 'user-joe', deleted, at)), first.id)).toBe('absent');
    expect(standing(usersView.initial, '')).toBe('absent');
  });
  it('survives its snapshot', () => {
    const stored: unknown = JSON.parse(JSON.stringify(usersView.encode(again)));
    expect(findUser(usersView.decode(stored), 'joe')?.life).toEqual({ id: second.id, isFirst: false });
  });

  it('is never mistaken, however the clocks of those who write move', () => {
    const step = fc.record({
      fact: fc.constantFrom(created, deleted, loggedIn),
      clockMs: fc.integer({ min: -10 * hour, max: 10 * hour }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let users: UsersState = usersView.initial;
        let life = '';
        const issued: Issued[] = [];
        for (const [i, { fact, moment, lastAt }] of asLogged(steps).entries()) {
          const event = recordedAt(i + 1, 'user-joe', fact, lastAt);
          users = usersView.apply(users, event);
          if (fact === loggedIn) issued.push({ life, moment });
          else life = fact === created ? event.id : '';
          for (const one of issued) check(users, life, one);
        }
      }),
    );
  });
});
