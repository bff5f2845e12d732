import type { listLocks } from '../../api/operations/lock.ts';
import type { OutputOf } from '../../api/operation.ts';

type Lock = OutputOf<typeof listLocks>['locks'][number];

/** What ended with a user that was deleted, and what did not. */
export function removalText(username: string, locks: readonly Lock[]): string {
  const stay = locks.filter(({ target }) => target.kind === 'user' && target.name === username);
  return [
    'Ended with it:',
    '- live sessions and forwards, within two seconds on each node and proxy that hears from an auth server; one that does',
    '  not ends them when it does again',
    '- certificates of logins and signed identities (tctl auth sign): refused from now on, also when there is a user of',
    '  that name again',
    '- its password, its second factor and its open link',
    ...stay.map(
      ({ lockId }) =>
        `A lock of that name stays in force, for whoever has it next: "tctl unlock ${lockId}" ends it`,
    ),
    '',
  ].join('\n');
}
