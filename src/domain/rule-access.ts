import type { RoleRule } from './role-rule.ts';
import type { RoleSpec } from './role-spec.ts';
import type { RuleVerb } from './rule-subjects.ts';
import { evaluateWhere, type RuleResource, type Truth, type WhereSubject } from './where/evaluate-where.ts';
import { parseWhere, type Where } from './where/where-syntax.ts';

/** Who asks, with all the roles that they have, looked up. */
export interface RuleSubject extends Omit<WhereSubject, 'roles'> {
  readonly roles: readonly RoleSpec[];
}

/** `name` and the rest left out: whichever of that kind it will be. */
export interface RuleQuestion {
  readonly verb: RuleVerb;
  readonly resource: RuleResource;
}

/** Which rule decided, of which role: its place as in the file of the role. */
export interface RulePlace {
  readonly role: string;
  readonly side: 'allow' | 'deny';
  readonly index: number;
}

export type RuleDecision =
  | { readonly status: 'allowed'; readonly by: RulePlace }
  /** `by` is undefined where no rule allows it. */
  | { readonly status: 'denied'; readonly by: RulePlace | undefined };

/**
 * Whether the rules of a person's roles let them do this. Denying wins over all roles; then one rule must
 * allow it whole. A condition that cannot be decided does not allow, and does deny. Without a role nothing is
 * allowed.
 */
export function checkRuleAccess(subject: RuleSubject, question: RuleQuestion): RuleDecision {
  const denies = placeOf(subject, 'deny', question, (truth) => truth !== 'false');
  if (denies !== undefined) return { status: 'denied', by: denies };
  const allows = placeOf(subject, 'allow', question, (truth) => truth === 'true');
  return allows === undefined ? { status: 'denied', by: undefined } : { status: 'allowed', by: allows };
}

/**
 * Whether there may be a resource of that kind for which `checkRuleAccess` allows it: asked before it is
 * known which it is. Conditions about the resource count as met in `allow`, and as not met in `deny`.
 */
export function mayBeAllowed(subject: RuleSubject, { verb, resource: { kind } }: RuleQuestion): boolean {
  const question = { verb, resource: { kind } };
  if (placeOf(subject, 'deny', question, (truth) => truth === 'true') !== undefined) return false;
  return placeOf(subject, 'allow', question, (truth) => truth !== 'false') !== undefined;
}

function placeOf(
  { username, roles, traits }: RuleSubject,
  side: 'allow' | 'deny',
  { verb, resource }: RuleQuestion,
  counts: (truth: Truth) => boolean,
): RulePlace | undefined {
  const user = { username, traits, roles: roles.map(({ name }) => name) };
  for (const role of roles)
    for (const [index, rule] of (role.rules?.[side] ?? []).entries())
      if (isAbout(rule, resource.kind, verb) && counts(truthOf(rule.where, user, resource)))
        return { role: role.name, side, index };
  return undefined;
}

const isAbout = ({ resources, verbs }: RoleRule, kind: string, verb: RuleVerb): boolean =>
  (resources.includes(kind) || resources.includes('*')) &&
  (verbs.includes(verb) || verbs.includes('*') || (verb === 'readnosecrets' && verbs.includes('read')));

function truthOf(where: string, user: WhereSubject, resource: RuleResource): Truth {
  if (where === '') return 'true';
  const read = readOrNone(where);
  return read === undefined ? 'unknown' : evaluateWhere(read, user, resource);
}

/** Conditions are asked again at every call: what was read is kept, up to so many. */
const maxKept = 1_000;
const kept = new Map<string, Where | undefined>();

/** Undefined for one that cannot be read: refused when a role is made, so another release wrote it. */
function readOrNone(text: string): Where | undefined {
  if (kept.has(text)) return kept.get(text);
  let where: Where | undefined;
  try {
    where = parseWhere(text);
  } catch {
    // Neither met nor not met: it does not allow, and it denies.
  }
  if (kept.size >= maxKept) kept.clear();
  kept.set(text, where);
  return where;
}
