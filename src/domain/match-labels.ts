import { labelPattern } from './label-pattern.ts';
import type { RoleSpec } from './role-spec.ts';

type Selector = RoleSpec['allow']['nodeLabels'];

/**
 * Whether a selector matches a server's labels: every key must be there with one of its values. An empty
 * selector matches nothing. A pattern that cannot be read never allows and always denies; since it is refused
 * when a role is made, only another version can have stored it.
 */
export function matchesLabels(
  selector: Selector,
  labels: Readonly<Record<string, string>>,
  sense: 'allow' | 'deny',
): boolean {
  const entries = Object.entries(selector);
  if (entries.length === 0) return false;
  return entries.every(([key, values]) => {
    if (key === '*') return values.includes('*');
    const label = Object.hasOwn(labels, key) ? labels[key] : undefined;
    return label !== undefined && values.some((value) => matches(value, label, sense));
  });
}

function matches(pattern: string, value: string, sense: 'allow' | 'deny'): boolean {
  let match;
  try {
    match = labelPattern(pattern);
  } catch {
    return sense === 'deny';
  }
  return match(value);
}
