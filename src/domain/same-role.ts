import { noRules } from './role-rule.ts';
import type { RoleSpec } from './role-spec.ts';

/**
 * Whether two roles say the same, in whatever order their keys were written, and whichever defaults are left
 * out.
 */
export const isSameRole = (one: RoleSpec, other: RoleSpec): boolean => textOf(one) === textOf(other);

const textOf = ({ rules, options, ...role }: RoleSpec): string =>
  JSON.stringify(
    sorted({
      ...role,
      options: {
        ...options,
        maxConnections: options.maxConnections ?? 0,
        certFormat: options.certFormat ?? 'standard',
      },
      rules: rules ?? noRules,
    }),
  );

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  );
}
