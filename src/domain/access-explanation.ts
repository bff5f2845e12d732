import { changesFor } from './access-changes.ts';
import type { Question, Reason } from './access-reason.ts';
import { type Labels, selectorText, unmatchedParts } from './label-selector.ts';
import { lockText } from './lock.ts';
import { expandLogin } from './login-template.ts';
import type { RoleSpec, Traits } from './role-spec.ts';
import { type RoleAccess, rolesAllowing, rolesDenying } from './subject-access.ts';

export interface Explanation {
  readonly login: string;
  readonly status: 'allowed' | 'denied';
  /** Everything that decides: what allows it, or all that is in the way. */
  readonly reasons: readonly Reason[];
  /** Of a denial: roles that have one half of it. */
  readonly near: readonly Reason[];
  /** Of a denial: what would have to change. Each thing in the way has its line. */
  readonly changes: readonly string[];
}

/** At most so many roles are named of a kind. */
const mostNamed = 10;

/**
 * Whether a person may enter a server as that login, and why. Agrees with `checkServerAccess` where the
 * person and all roles are there and nothing is locked.
 */
export function explainAccess(question: Question): Explanation {
  const { login } = question;
  const inTheWay = [...standing(question), ...denials(question)];
  const allowing = rolesAllowing(question.person.access, question.labels);
  const grants = allowing.filter(({ allowed }) => allowed.has(login));
  if (grants.length > 0 && inTheWay.length === 0)
    return {
      login,
      status: 'allowed',
      reasons: grants.slice(0, mostNamed).map((role) => grantOf(role, question)),
      near: [],
      changes: [],
    };
  const isGranted = grants.length > 0;
  const near = isGranted ? [] : nearMisses(question);
  const notAllowed: Reason = {
    kind: 'not_allowed',
    text: `no role allows the login ${JSON.stringify(login)} on this server`,
  };
  const reasons = isGranted || question.person.status !== 'known' ? inTheWay : [...inTheWay, notAllowed];
  return { login, status: 'denied', reasons, near, changes: changesFor(question, reasons) };
}

/** What is in the way whatever the roles say. */
function standing({ person, locks }: Question): Reason[] {
  const { username, status, missing, unreadable } = person;
  const locked = locks.map((lock): Reason => ({ kind: 'locked', text: lockText(lock) }));
  if (status === 'missing')
    return [{ kind: 'user_missing', text: `there is no user ${JSON.stringify(username)}` }, ...locked];
  if (status === 'unreadable')
    return [
      {
        kind: 'user_unreadable',
        text: `this release cannot read the user ${JSON.stringify(username)}, of whom a newer one wrote`,
      },
      ...locked,
    ];
  const lost = missing.map((role): Reason =>
    unreadable.includes(role)
      ? {
          kind: 'role_unreadable',
          role,
          text: `this release cannot read the role ${JSON.stringify(role)}, which a newer one wrote: nothing is allowed`,
        }
      : {
          kind: 'role_missing',
          role,
          text: `the role ${JSON.stringify(role)} of the user does not exist: nothing is allowed, since it might have denied`,
        },
  );
  return [...lost, ...locked];
}

function denials({ person, login, labels }: Question): Reason[] {
  const byLabels = rolesDenying(person.access, labels).map(({ spec }): Reason => {
    const selector = selectorText(spec.deny.nodeLabels);
    return {
      kind: 'denied_labels',
      role: spec.name,
      place: 'deny.node_labels',
      text: `role ${JSON.stringify(spec.name)} denies servers with these labels: deny.node_labels (${selector})`,
    };
  });
  const byLogin = person.access.roles
    .filter(({ denied }) => denied.has(login))
    .map(({ spec }): Reason => {
      const { place, text } = entryFor(spec, 'deny', login, person.traits);
      const name = JSON.stringify(spec.name);
      return {
        kind: 'denied_login',
        role: spec.name,
        place,
        text: `role ${name} denies the login ${JSON.stringify(login)}: ${text}`,
      };
    });
  return [...byLabels.slice(0, mostNamed), ...byLogin.slice(0, mostNamed)];
}

function grantOf({ spec }: RoleAccess, { login, person }: Question): Reason {
  const { place, text } = entryFor(spec, 'allow', login, person.traits);
  const selector = selectorText(spec.allow.nodeLabels);
  return {
    kind: 'allowed',
    role: spec.name,
    place,
    text: `role ${JSON.stringify(spec.name)} allows it: the login by ${text}, the server by allow.node_labels (${selector})`,
  };
}

function nearMisses({ person, login, labels }: Question): Reason[] {
  const onlyLogin = person.access.roles.filter(({ allowed }) => allowed.has(login)).slice(0, mostNamed);
  const onlyLabels = rolesAllowing(person.access, labels).slice(0, mostNamed);
  return [
    ...onlyLogin.map(({ spec }): Reason => {
      const { place } = entryFor(spec, 'allow', login, person.traits);
      const name = JSON.stringify(spec.name);
      return {
        kind: 'only_login',
        role: spec.name,
        place,
        text: `role ${name} allows the login, but not this server: ${whatDiffers(spec, labels)}`,
      };
    }),
    ...onlyLabels.map(({ spec, allowed }): Reason => {
      const logins = [...allowed].slice(0, mostNamed).join(', ');
      return {
        kind: 'only_labels',
        role: spec.name,
        place: 'allow.node_labels',
        text: `role ${JSON.stringify(spec.name)} allows this server, but not the login: it allows ${logins === '' ? 'no login to this user' : logins}`,
      };
    }),
  ];
}

function whatDiffers({ allow }: RoleSpec, labels: Labels): string {
  const parts = unmatchedParts(allow.nodeLabels, labels);
  if (parts.length === 0) return 'it names no labels';
  return parts
    .map(({ key, values, has }) => {
      const wants = selectorText({ [key]: [...values] });
      return has === undefined
        ? `it is for ${wants}, here is no label ${key}`
        : `it is for ${wants}, here ${key}=${has}`;
    })
    .join('; ');
}

/** By which entry a role has a login. */
function entryFor(
  spec: RoleSpec,
  side: 'allow' | 'deny',
  login: string,
  traits: Traits,
): { readonly place: string; readonly text: string } {
  const at = spec[side].logins.findIndex((entry) => expandLogin(entry, traits).includes(login));
  const place = `${side}.logins[${at}]`;
  return { place, text: `${place} (${spec[side].logins[at] ?? ''})` };
}
