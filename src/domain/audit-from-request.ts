import { unreachable } from '../base/errors.ts';
import type { AccessRequestFact } from './access-request.ts';
import { catalogue } from './audit-catalogue.ts';
import type { EventBody } from './audit-kind.ts';

/** The audit event of a fact about an access request; none where it only runs out. */
export function tellRequest(
  fact: AccessRequestFact | undefined,
  id: string,
  by: string,
): EventBody | undefined {
  switch (fact?.type) {
    case 'request.created': {
      const { user, roles, reason, expiresAt: expires } = fact.data;
      return catalogue.accessRequestCreate({
        user,
        id,
        state: 'PENDING',
        roles,
        reason,
        updated_by: by,
        expires,
      });
    }
    case 'request.resolved': {
      const { user, state, roles, reason, delegator, annotations, expiresAt: expires } = fact.data;
      return catalogue.accessRequestUpdate({
        ...{ user, id, roles, reason, updated_by: by, expires },
        state: state === 'approved' ? 'APPROVED' : 'DENIED',
        ...(delegator !== '' && { delegator }),
        ...(Object.keys(annotations).length > 0 && { annotations }),
      });
    }
    case 'request.ended':
      return fact.data.reason === 'expired'
        ? undefined
        : catalogue.accessRequestDelete({ user: by, id, updated_by: by });
    case undefined:
      return undefined;
    default:
      return unreachable(fact);
  }
}
