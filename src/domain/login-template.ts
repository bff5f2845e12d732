import { CodedError, messageOf } from '../base/errors.ts';
import { emailLocal, type LoginFunction, regexpReplace } from './login-function.ts';
import { isUnixLogin } from './names.ts';
import type { Traits } from './role-spec.ts';

/**
 * A plain login, or text around `{{internal.logins}}`, `{{external.<trait>}}` or a function of one of these:
 * `{{email.local(external.mail)}}`, `{{regexp.replace(external.mail, "^(.*)@example\\.com$", "$1")}}`.
 */
export type LoginTemplate =
  | { readonly kind: 'literal'; readonly login: string }
  | {
      readonly kind: 'trait';
      readonly prefix: string;
      readonly trait: string;
      readonly suffix: string;
      /** What is made of each value; undefined: it is taken as it is. */
      readonly apply: LoginFunction | undefined;
    };

/** Texts in quotes may have braces: the pattern `[a-z]{2}`, the replacement `${1}x`. */
const quoted = String.raw`"(?:[^"\\]|\\.)*"|` + '`[^`]*`';
const templatePattern = new RegExp(
  String.raw`^(?<prefix>[^{}]*)\{\{(?<inside>(?:[^{}"` +
    '`' +
    String.raw`]|${quoted})*)\}\}(?<suffix>[^{}]*)$`,
);
const variable = String.raw`(?<space>internal|external)\.(?<trait>[A-Za-z0-9_.:/-]+)`;
const plainPattern = new RegExp(`^${variable}$`);
const emailPattern = new RegExp(String.raw`^email\.local\(\s*${variable}\s*\)$`);
const regexpPattern = new RegExp(
  String.raw`^regexp\.replace\(\s*${variable}\s*,\s*(?<pattern>${quoted})\s*,\s*(?<replacement>${quoted})\s*\)$`,
);
const longestTemplate = 1_000;

/**
 * Reads one entry of a role's logins.
 * @throws CodedError `bad_request` for braces that are not such a template, for an unknown name behind
 *   `internal.`, and for a pattern that cannot be matched.
 */
export function parseLoginTemplate(text: string): LoginTemplate {
  if (!/[{}]/.test(text)) return { kind: 'literal', login: text };
  if (text.length > longestTemplate)
    throw new CodedError('bad_request', `a template of logins is longer than ${longestTemplate} characters`);
  const { prefix = '', inside = '', suffix = '' } = templatePattern.exec(text)?.groups ?? {};
  const called = callOf(text, inside.trim());
  if (called === undefined || (called.space === 'internal' && called.trait !== 'logins'))
    throw new CodedError(
      'bad_request',
      `${JSON.stringify(text)} is not a template: {{internal.logins}} or {{external.<trait>}}, either of them in ` +
        'email.local(…) or regexp.replace(…, "^pattern$", "replacement"), with text around it',
    );
  return { kind: 'trait', prefix, trait: called.trait, suffix, apply: called.apply };
}

interface CalledVariable {
  readonly space: string;
  readonly trait: string;
  readonly apply: LoginFunction | undefined;
}

function callOf(text: string, inside: string): CalledVariable | undefined {
  const plain = plainPattern.exec(inside)?.groups;
  if (plain) return variableOf(plain, undefined);
  const email = emailPattern.exec(inside)?.groups;
  if (email) return variableOf(email, emailLocal);
  const regexp = regexpPattern.exec(inside)?.groups;
  if (!regexp) return undefined;
  try {
    const [pattern, replacement] = [unquoted(regexp['pattern']), unquoted(regexp['replacement'])];
    return variableOf(regexp, regexpReplace(pattern, replacement));
  } catch (e) {
    throw new CodedError('bad_request', `${JSON.stringify(text)}: ${messageOf(e)}`, { cause: e });
  }
}

const variableOf = (
  { space = '', trait = '' }: Readonly<Record<string, string>>,
  apply: LoginFunction | undefined,
): CalledVariable => ({ space, trait, apply });

/** A text in Go's quotes: in backquotes as it is, in double quotes with a backslash before `\` and `"`. */
function unquoted(text = ''): string {
  const inside = text.slice(1, -1);
  if (text.startsWith('`')) return inside;
  const stray = /(?:^|[^\\])(?:\\\\)*\\(?<char>[^\\"])/.exec(inside)?.groups?.['char'];
  if (stray !== undefined)
    throw new CodedError(
      'bad_request',
      `in double quotes a backslash is written twice: \\\\${stray}, not \\${stray}; or use backquotes`,
    );
  return inside.replace(/\\(.)/gs, '$1');
}

/**
 * The logins one entry stands for: every value of its trait. A value that is not a valid unix login or that
 * its function makes nothing of, an unknown trait and an entry that cannot be read give none.
 */
export function expandLogin(text: string, traits: Traits): readonly string[] {
  const template = parsedLogin(text);
  return template === undefined ? [] : loginsBy(template, traits);
}

/** As `expandLogin`, by the entry that was read. */
export function loginsBy(template: LoginTemplate, traits: Traits): readonly string[] {
  if (template.kind === 'literal') return isUnixLogin(template.login) ? [template.login] : [];
  const { prefix, suffix, trait, apply } = template;
  const values = Object.hasOwn(traits, trait) ? (traits[trait] ?? []) : [];
  return values
    .map((value) => (apply === undefined ? value : apply(value)))
    .filter((value) => value !== undefined && (apply === undefined || value !== ''))
    .map((value) => `${prefix}${value}${suffix}`)
    .filter(isUnixLogin);
}

/** Whether releases before `levels.loginFunctions` cannot read the entry. */
export function usesFunction(text: string): boolean {
  const template = parsedLogin(text);
  return template?.kind === 'trait' && template.apply !== undefined;
}

/** Templates are asked again for every server: what was read is kept, up to so many. */
const maxKept = 1_000;
const kept = new Map<string, LoginTemplate | undefined>();

/** What an entry is; undefined for one that cannot be read. */
export function parsedLogin(text: string): LoginTemplate | undefined {
  if (kept.has(text)) return kept.get(text);
  let template: LoginTemplate | undefined;
  try {
    template = parseLoginTemplate(text);
  } catch {
    // Refused when the role is made; in a role from another version it grants nothing.
  }
  if (kept.size >= maxKept) kept.clear();
  kept.set(text, template);
  return template;
}
