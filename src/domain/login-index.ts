import { type LoginTemplate, loginsBy, parsedLogin } from './login-template.ts';
import type { Traits } from './role-spec.ts';

/** Which of many lists of logins have a login of somebody with these traits: their indexes. */
export type LoginIndex = (login: string, traits: Traits) => ReadonlySet<number>;

/**
 * The logins of many roles, made ready to be asked for one: those that depend on no traits are looked up, and
 * each template is filled once, however many roles have it. Each is answered as `expandLogin` answers.
 */
export function loginIndex(lists: readonly (readonly string[])[]): LoginIndex {
  const plain = new Map<string, Set<number>>();
  const templates = new Map<string, { readonly template: LoginTemplate; readonly at: Set<number> }>();
  for (const [at, entries] of lists.entries())
    for (const entry of entries) {
      const template = parsedLogin(entry);
      if (template?.kind === 'literal')
        for (const login of loginsBy(template, {})) plain.set(login, (plain.get(login) ?? new Set()).add(at));
      else if (template !== undefined) {
        const known = templates.get(entry) ?? { template, at: new Set() };
        templates.set(entry, known);
        known.at.add(at);
      }
    }
  return (login, traits) => {
    let found: ReadonlySet<number> = plain.get(login) ?? none;
    for (const { template, at } of templates.values())
      if (loginsBy(template, traits).includes(login)) found = new Set([...found, ...at]);
    return found;
  };
}

const none: ReadonlySet<number> = new Set();
