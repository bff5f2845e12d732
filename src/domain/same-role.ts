import { canonicalJson } from '../base/canonical-json.ts';
import { noJoining } from './role-joining.ts';
import { noRequest } from './role-request.ts';
import { noRules } from './role-rule.ts';
import type { RoleSpec } from './role-spec.ts';

/**
 * Whether two roles say the same, in whatever order their keys were written, and whichever defaults are left
 * out.
 */
export const isSameRole = (one: RoleSpec, other: RoleSpec): boolean => textOf(one) === textOf(other);

const textOf = ({ rules, request, joining, options, ...role }: RoleSpec): string =>
  canonicalJson({
    ...role,
    options: {
      ...options,
      maxConnections: options.maxConnections ?? 0,
      certFormat: options.certFormat ?? 'standard',
      requestAccess: options.requestAccess ?? 'optional',
      requestPrompt: options.requestPrompt ?? '',
    },
    rules: rules ?? noRules,
    request: request ?? noRequest,
    joining: joining ?? noJoining,
  });
