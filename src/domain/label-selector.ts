import { type LabelPattern, labelPattern } from './label-pattern.ts';
import type { RoleSpec } from './role-spec.ts';

export type Labels = Readonly<Record<string, string>>;

/** Whether a selector matches a server's labels. */
export type LabelSelector = (labels: Labels) => boolean;

/**
 * A selector made ready to be asked of many servers: it answers as `matchesLabels` does. Undefined for an
 * empty one, which matches nothing.
 */
export function labelSelector(
  selector: RoleSpec['allow']['nodeLabels'],
  sense: 'allow' | 'deny',
): LabelSelector | undefined {
  const tests = Object.entries(selector).map(([key, values]) => testOf(key, values, sense));
  const [only] = tests;
  if (only === undefined || tests.length === 1) return only;
  return (labels) => tests.every((test) => test(labels));
}

function testOf(key: string, values: readonly string[], sense: 'allow' | 'deny'): LabelSelector {
  if (key === '*') {
    const isAll = values.includes('*');
    return () => isAll;
  }
  const matches = valueTest(values, sense);
  return (labels) => {
    const label = Object.hasOwn(labels, key) ? labels[key] : undefined;
    return label !== undefined && matches(label);
  };
}

function valueTest(values: readonly string[], sense: 'allow' | 'deny'): LabelPattern {
  const [only] = values;
  if (values.every(isPlain)) {
    if (values.length === 1) return (label) => label === only;
    const all = new Set(values);
    return (label) => all.has(label);
  }
  const patterns = values.map((value) => patternOf(value, sense));
  return (label) => patterns.some((matches) => matches(label));
}

/** Whether a value stands for itself. */
const isPlain = (value: string): boolean => !value.includes('*') && !value.startsWith('^');

function patternOf(value: string, sense: 'allow' | 'deny'): LabelPattern {
  let matches: LabelPattern;
  try {
    matches = labelPattern(value);
  } catch {
    // Refused when a role is made, so another release wrote it: it never allows and always denies.
    return () => sense === 'deny';
  }
  const prefix = prefixOf(value);
  return (label) => label.startsWith(prefix) && matches(label);
}

/**
 * What every text begins with that an expression matches, as far as that is plain: most values of other roles
 * are turned away by it, at a small part of the cost.
 */
function prefixOf(value: string): string {
  if (!value.startsWith('^') || !value.endsWith('$') || value.includes('|')) return '';
  const [, plain = '', next = ''] = /^\^([\w-]*)(.?)/.exec(value) ?? [];
  return next !== '' && '*+?{'.includes(next) ? plain.slice(0, -1) : plain;
}

/** At most so many values of a label are named to people. */
const mostNamed = 4;

/** `env=test or dev-*, os=linux`; for every server `*=*`, for none `none`. */
export function selectorText(selector: RoleSpec['allow']['nodeLabels']): string {
  const parts = Object.entries(selector).map(
    ([key, values]) =>
      `${key}=${values.slice(0, mostNamed).join(' or ')}${values.length > mostNamed ? ' or …' : ''}`,
  );
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** The parts of a selector that do not match, with what the server has instead. */
export const unmatchedParts = (
  selector: RoleSpec['allow']['nodeLabels'],
  labels: Labels,
): readonly {
  readonly key: string;
  readonly values: readonly string[];
  readonly has: string | undefined;
}[] =>
  Object.entries(selector)
    .filter(([key, values]) => !testOf(key, values, 'allow')(labels))
    .map(([key, values]) => ({
      key,
      values,
      has: Object.hasOwn(labels, key) ? labels[key] : undefined,
    }));
