import { CodedError } from '../base/errors.ts';
import { isUnixLogin } from './names.ts';
import type { Traits } from './role-spec.ts';

/** `prefix{{internal.logins}}suffix` or `prefix{{external.<trait>}}suffix`, or a plain login. */
export type LoginTemplate =
  | { readonly kind: 'literal'; readonly login: string }
  | { readonly kind: 'trait'; readonly prefix: string; readonly trait: string; readonly suffix: string };

const templatePattern =
  /^(?<prefix>[^{}]*)\{\{\s*(?<space>internal|external)\.(?<trait>[A-Za-z0-9_.:/-]+)\s*\}\}(?<suffix>[^{}]*)$/;

/**
 * Reads one entry of a role's logins.
 * @throws CodedError `bad_request` for braces that are not such a template, or for an unknown name behind
 *   `internal.`
 */
export function parseLoginTemplate(text: string): LoginTemplate {
  if (!/[{}]/.test(text)) return { kind: 'literal', login: text };
  const groups = templatePattern.exec(text)?.groups;
  const { prefix = '', space, trait = '', suffix = '' } = groups ?? {};
  if (!groups || (space === 'internal' && trait !== 'logins'))
    throw new CodedError(
      'bad_request',
      `${JSON.stringify(text)} is not a template: {{internal.logins}} or {{external.<trait>}}, with text around it`,
    );
  return { kind: 'trait', prefix, trait, suffix };
}

/**
 * The logins one entry stands for: every value of its trait. A value that is not a valid unix login, an
 * unknown trait and an entry that cannot be read give none.
 */
export function expandLogin(text: string, traits: Traits): readonly string[] {
  const template = readOrNone(text);
  if (!template) return [];
  if (template.kind === 'literal') return isUnixLogin(template.login) ? [template.login] : [];
  const values = Object.hasOwn(traits, template.trait) ? (traits[template.trait] ?? []) : [];
  return values.map((value) => `${template.prefix}${value}${template.suffix}`).filter(isUnixLogin);
}

function readOrNone(text: string): LoginTemplate | undefined {
  try {
    return parseLoginTemplate(text);
  } catch {
    // Refused when the role is made; in a role from another version it grants nothing.
    return undefined;
  }
}
