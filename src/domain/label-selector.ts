import { matchesLabels } from './match-labels.ts';
import type { RoleSpec } from './role-spec.ts';

export type Labels = Readonly<Record<string, string>>;

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
    .filter(([key, values]) => !matchesLabels({ [key]: values }, labels, 'allow'))
    .map(([key, values]) => ({
      key,
      values,
      has: Object.hasOwn(labels, key) ? labels[key] : undefined,
    }));
