import type { Question, Reason } from './access-reason.ts';
import { type Labels, selectorText, unmatchedParts } from './label-selector.ts';
import { parseLoginTemplate } from './login-template.ts';
import { type RoleAccess, rolesAllowing } from './subject-access.ts';

/** At most so many ways are named, of what may be any of several. */
const mostWays = 3;
const quoted = (text: string): string => JSON.stringify(text);

/**
 * What would have to change so that a denial becomes an answer of yes: a line for each reason, or several
 * ways.
 */
export const changesFor = (question: Question, reasons: readonly Reason[]): readonly string[] => [
  ...new Set(reasons.flatMap((reason) => changesOf(question, reason))),
];

function changesOf(question: Question, { kind, role = '', place = '' }: Reason): readonly string[] {
  const { person, login, locks } = question;
  const { username } = person;
  const what = kind === 'denied_login' ? quoted(login) : 'what matches here';
  const lines: Readonly<Record<Reason['kind'], () => readonly string[]>> = {
    user_missing: () => [`a user ${quoted(username)}: "tctl users add" makes one`],
    user_unreadable: () => upgrade,
    role_unreadable: () => upgrade,
    role_missing: () => [`the role ${quoted(role)} made again, or taken from ${username}`],
    locked: () => locks.map(({ id }) => `the lock ended: tctl unlock ${id}`),
    denied_labels: () => [
      `${place} of the role ${quoted(role)} without ${what}, or the role taken from ${username}`,
    ],
    denied_login: () => [
      `${place} of the role ${quoted(role)} without ${what}, or the role taken from ${username}`,
    ],
    not_allowed: () => waysToAllow(question),
    allowed: () => [],
    only_login: () => [],
    only_labels: () => [],
  };
  return lines[kind]();
}

const upgrade = ['this auth server upgraded to the release that wrote it'];

/** Any one of them is enough. The nearest first: what needs no other role. */
function waysToAllow(question: Question): readonly string[] {
  const { access } = question.person;
  const { login, labels } = question;
  const withLogin = access.roles.filter(({ allowed }) => allowed.has(login));
  const withLabels = rolesAllowing(access, labels);
  const byTrait = withLabels.flatMap((role) => wayByTrait(question, role));
  const byLabel = withLogin.flatMap((role) => wayByLabel(question, role));
  return [
    ...byTrait.slice(0, mostWays),
    ...byLabel.slice(0, mostWays),
    wayByRole(question, withLogin, withLabels),
  ];
}

function wayByTrait({ person, login }: Question, { spec }: RoleAccess): readonly string[] {
  for (const entry of spec.allow.logins) {
    const value = valueFor(entry, login);
    if (value !== undefined)
      return [
        `${quoted(value.value)} added to the trait ${value.trait} of ${person.username}: the role ${quoted(spec.name)} allows ${entry} here`,
      ];
  }
  return [];
}

/** The value of a trait for which a template gives this login. */
function valueFor(
  entry: string,
  login: string,
): { readonly trait: string; readonly value: string } | undefined {
  let template;
  try {
    template = parseLoginTemplate(entry);
  } catch {
    // Another release wrote it: for this one it gives no login.
    return undefined;
  }
  if (template.kind === 'literal') return undefined;
  const { prefix, suffix, trait } = template;
  if (!login.startsWith(prefix) || !login.endsWith(suffix)) return undefined;
  const value = login.slice(prefix.length, login.length - suffix.length);
  return value === '' || prefix.length + suffix.length > login.length ? undefined : { trait, value };
}

/** For a label that the server does not have at all. */
function wayByLabel({ labels }: Question, { spec }: RoleAccess): readonly string[] {
  const parts = unmatchedParts(spec.allow.nodeLabels, labels);
  const [part] = parts;
  if (part === undefined || parts.some(({ has }) => has !== undefined)) return [];
  const wanted = parts.map(({ key, values }) => selectorText({ [key]: [...values] })).join(', ');
  return [`the label ${wanted} on the node: the role ${quoted(spec.name)} allows the login there`];
}

function wayByRole(
  { login, labels }: Question,
  withLogin: readonly RoleAccess[],
  withLabels: readonly RoleAccess[],
): string {
  const [first] = withLogin;
  const [other] = withLabels;
  const wanted = `a role that allows the login ${quoted(login)} and ${labelsLike(first, labels)}`;
  if (first !== undefined) {
    const where = selectorText(first.spec.allow.nodeLabels);
    return `${wanted}, as ${quoted(first.spec.name)} does for ${where}`;
  }
  return other === undefined ? wanted : `${wanted}, as ${quoted(other.spec.name)} does for other logins`;
}

/** The labels of this server by which a role of that kind would select it. */
function labelsLike(role: RoleAccess | undefined, labels: Labels): string {
  const keys = Object.keys(role?.spec.allow.nodeLabels ?? {}).filter((key) => Object.hasOwn(labels, key));
  const named = (keys.length > 0 ? keys : Object.keys(labels)).slice(0, mostWays);
  if (named.length === 0) return 'every server (*=*): this one has no labels';
  return `the label${named.length > 1 ? 's' : ''} ${named.map((key) => `${key}=${labels[key] ?? ''}`).join(', ')}`;
}
