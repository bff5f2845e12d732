import { labelPattern } from './label-pattern.ts';
import type { RoleSpec } from './role-spec.ts';

type Selector = RoleSpec['allow']['nodeLabels'];

/**
 * Whether a server's labels are meant by a selector: every key must be there with one of its values. An empty
 * selector means none. A pattern that cannot be read (refused when a role is made, so only another version
 * can have stored it) never allows and always denies.
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
