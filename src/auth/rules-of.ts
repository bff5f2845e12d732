import type { Caller } from '../api/operation.ts';
import type { RuleSubject } from '../domain/rule-access.ts';
import { findUser } from '../views/users.ts';
import type { AuthViews } from './auth-views.ts';
import { rolesOf } from './lookups.ts';

/**
 * What a person who calls has by what the log says of the user now, not by the certificate.
 * @throws CodedError `access_denied` where one of the roles is missing: it might have denied.
 */
export const rulesOf =
  ({ views }: { readonly views: Pick<AuthViews, 'roles' | 'users'> }) =>
  ({ username, roles }: Extract<Caller, { kind: 'user' }>): RuleSubject => ({
    username,
    roles: rolesOf(views, roles),
    traits: findUser(views.users.state(), username)?.state.traits ?? {},
  });
