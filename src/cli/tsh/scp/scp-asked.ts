import { CodedError } from '../../../base/errors.ts';

/*
 * A server chooses the names of the files that it sends, so only requested ones are accepted. A shell there
 * expands `*`, `?`, `[…]`, `{a,b}` and `~`; the same are matched here, and nothing else. Source:
 * CVE-2018-20685, CVE-2019-6111.
 */

/** The request: things with these names, or a home folder, whose name only the other side knows. */
export type Asked =
  { readonly kind: 'names'; readonly fits: (name: string) => boolean } | { readonly kind: 'home' };

/** @throws CodedError `bad_request` for a path that does not fix a name: `.`, `..`, `x/..`, `/`. */
export function readAsked(path: string): Asked {
  const parts = path.replace(/\/+$/, '').split('/');
  const last = parts.at(-1) ?? '';
  if (['', '.', '..'].includes(last))
    throw new CodedError(
      'bad_request',
      `${path}: this names no file or folder. Name the folder (host:dir), or what is in it (host:'dir/*')`,
    );
  if (parts.length === 1 && last.startsWith('~')) return { kind: 'home' };
  const patterns = expandBraces(last).map((pattern) => ({ pattern, expression: globExpression(pattern) }));
  return {
    kind: 'names',
    fits: (name) =>
      patterns.some(
        // As in a shell: a wildcard never matches a dot at the beginning.
        ({ pattern, expression }) =>
          pattern === name || (name.startsWith('.') === pattern.startsWith('.') && expression.test(name)),
      ),
  };
}

const maxAlternatives = 256;
const braces = /\{([^{}]*,[^{}]*)\}/;

function expandBraces(pattern: string): readonly string[] {
  let patterns = [pattern];
  for (;;) {
    if (!patterns.some((one) => braces.test(one)) || patterns.length > maxAlternatives) return patterns;
    patterns = patterns.flatMap((one) => {
      const match = braces.exec(one);
      if (match === null) return [one];
      const [whole, inside = ''] = match;
      return inside
        .split(',')
        .map((part) => one.slice(0, match.index) + part + one.slice(match.index + whole.length));
    });
  }
}

function globExpression(pattern: string): RegExp {
  const source = pattern.replace(/\*+|\[[!^]?[^\]]+\]|[\s\S]/gu, (part) => {
    if (part.startsWith('*')) return '.*';
    if (part === '?') return '.';
    if (part.length > 1 && part.startsWith('[')) {
      const negated = part[1] === '!' || part[1] === '^';
      const inside = part.slice(negated ? 2 : 1, -1).replace(/[\\\]^]/g, '\\$&');
      return inside === '' ? '(?!)' : `[${negated ? '^' : ''}${inside}]`;
    }
    return part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    return /(?!)/; // not a pattern we support: only the same text matches
  }
}
