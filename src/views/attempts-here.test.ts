import { expect, it } from 'vitest';
import { attemptsHere } from './attempts-here.ts';
import { removeIn, setIn, tableFrom } from './table.ts';
import type { UserEntry, UsersState } from './users.ts';

let looks = 0;
const userWith = (attempts: 'here' | 'apart'): UserEntry =>
  ({
    get state() {
      looks++;
      return { attempts };
    },
  }) as unknown as UserEntry;
const nameOf = (n: number): string => `user${n}`;
const withKnown = (known: UsersState['known']): UsersState => ({ known, unreadable: tableFrom([]) });

it.each([100, 1_000, 30_000])('who is left among %d is known by a look at those who changed', (count) => {
  let { known } = withKnown(
    tableFrom(Array.from({ length: count }, (_, n) => [nameOf(n), userWith(n < 3 ? 'here' : 'apart')])),
  );
  const here = attemptsHere();
  expect([...here(withKnown(known))].sort()).toEqual(['user0', 'user1', 'user2']);
  looks = 0;
  expect(here(withKnown(known)).size).toBe(3);
  expect(looks).toBe(0);
  known = setIn(removeIn(known, 'user0'), 'user1', userWith('apart'));
  known = setIn(known, nameOf(count), userWith('here'));
  expect([...here(withKnown(known))].sort()).toEqual(['user2', nameOf(count)].sort());
  expect(looks).toBeLessThanOrEqual(3);
});
