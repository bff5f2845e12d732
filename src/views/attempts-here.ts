import { emptyTable } from './table.ts';
import { eachChange } from './table-changes.ts';
import type { UserEntry, UsersState } from './users.ts';

/**
 * Names of the users whose attempts to log in are still recorded with them. A question costs a few steps for
 * each user that has changed since the last one, however many there are: ask it of the states of one view.
 */
export function attemptsHere(): (users: UsersState) => ReadonlySet<string> {
  const here = new Set<string>();
  let known: UsersState['known'] = emptyTable;
  const follow = (name: string, after: UserEntry | undefined): void => {
    if (after?.state.attempts === 'here') here.add(name);
    else here.delete(name);
  };
  return (users) => {
    eachChange(known, users.known, (name, _before, after) => {
      follow(name, after);
      return true;
    });
    known = users.known;
    return here;
  };
}
