import { messageOf } from '../base/errors.ts';
import { checkConditions } from './check-role-spec.ts';
import { nothingToJoin, roleJoining } from './role-joining.ts';
import { nothingToRequest, roleRequest } from './role-request.ts';
import { allDenied, ruleSet } from './role-rule.ts';
import { roleSpec } from './role-spec.ts';

/**
 * A role of any release, for those who decide access by it. What is new beside the conditions is left out:
 * whoever adds what restricts names it `critical`. In the conditions nothing is: a rule that cannot be read
 * whole might deny. Rules that cannot be read whole allow nothing and deny everything; servers never ask
 * them, so people still log in. Of what may be requested and
 * joined the same holds.
 */
export const storedRoleSpec = roleSpec
  .strip()
  .extend({
    options: roleSpec.shape.options.strip().extend({
      // Only `tsh login` asks it.
      requestAccess: roleSpec.shape.options.shape.requestAccess.catch(undefined),
    }),
    rules: ruleSet.optional().catch(allDenied),
    request: roleRequest.optional().catch(nothingToRequest),
    joining: roleJoining.optional().catch(nothingToJoin),
  })
  .superRefine((role, context) => {
    try {
      checkConditions(role, 'deny');
    } catch (e) {
      context.addIssue({ code: 'custom', path: ['deny'], message: messageOf(e) });
    }
  });
