import { messageOf } from '../base/errors.ts';
import { checkConditions } from './check-role-spec.ts';
import { roleSpec } from './role-spec.ts';

/**
 * A role written by any release, as far as access is decided by it. Unknown fields beside the conditions are
 * dropped: a release that adds a restriction there names it `critical`. In the conditions nothing is dropped:
 * a rule that cannot be read completely might deny.
 */
export const storedRoleSpec = roleSpec
  .strip()
  .extend({ options: roleSpec.shape.options.strip() })
  .superRefine((role, context) => {
    try {
      checkConditions(role, 'deny');
    } catch (e) {
      context.addIssue({ code: 'custom', path: ['deny'], message: messageOf(e) });
    }
  });
