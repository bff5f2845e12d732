import { unreachable } from '../../base/errors.ts';
import type { Traits } from '../role-spec.ts';
import type { Where, WherePath, WhereValue } from './where-syntax.ts';

/** Whether a condition holds; `unknown` where it asks for what is not known, or is not there. */
export type Truth = 'true' | 'false' | 'unknown';

/** What a rule is asked about. What is left out has no value: a condition about it is unknown. */
export interface RuleResource {
  readonly kind: string;
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Of a user. */
  readonly roles?: readonly string[] | undefined;
  readonly traits?: Traits | undefined;
  /** Of a session. */
  readonly participants?: readonly string[] | undefined;
  /** Of an authority: `user` or `host`. */
  readonly authorityType?: string | undefined;
}

export interface WhereSubject {
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
}

type Value = string | readonly string[] | undefined;

/**
 * Total: it never throws. What is unknown stays so under `!`; one false part decides `&&`, one true part
 * `||`.
 * @param resource undefined: it is not known yet which it will be.
 */
export function evaluateWhere(where: Where, user: WhereSubject, resource: RuleResource | undefined): Truth {
  switch (where.kind) {
    case 'equals':
    case 'contains':
      return compared(where.kind, valueOf(where.left, user, resource), valueOf(where.right, user, resource));
    case 'not':
      return negated(evaluateWhere(where.part, user, resource));
    case 'and':
      return decided(where.parts, 'false', (part) => evaluateWhere(part, user, resource));
    case 'or':
      return decided(where.parts, 'true', (part) => evaluateWhere(part, user, resource));
    default:
      return unreachable(where);
  }
}

const negated = (truth: Truth): Truth => (truth === 'unknown' ? truth : truth === 'true' ? 'false' : 'true');

function decided(parts: readonly Where[], by: 'true' | 'false', of: (part: Where) => Truth): Truth {
  const truths = parts.map(of);
  if (truths.includes(by)) return by;
  return truths.includes('unknown') ? 'unknown' : negated(by);
}

function compared(kind: 'equals' | 'contains', left: Value, right: Value): Truth {
  if (left === undefined || right === undefined) return 'unknown';
  if (kind === 'equals') return truth(isSame(left, right));
  // A list in a text, or a list in a list, is a mistake: nothing is granted by it.
  if (typeof left === 'string' || typeof right !== 'string') return 'unknown';
  return truth(left.includes(right));
}

const truth = (is: boolean): Truth => (is ? 'true' : 'false');

function isSame(left: string | readonly string[], right: string | readonly string[]): boolean {
  if (typeof left === 'string' || typeof right === 'string') return left === right;
  return left.length === right.length && left.every((one, i) => one === right[i]);
}

function valueOf(value: WhereValue, user: WhereSubject, resource: RuleResource | undefined): Value {
  if (value.kind === 'text') return value.text;
  const [root, ...path] = value.path;
  return root === 'user' ? ofUser(path, user) : ofResource(value.path, resource);
}

function ofUser([section, field, key]: WherePath, { username, roles, traits }: WhereSubject): Value {
  if (section === 'metadata') return username;
  return field === 'roles' ? roles : ofTraits(traits, key);
}

/** A trait that somebody does not have is an empty list: it contains nothing. */
const ofTraits = (traits: Traits | undefined, key = ''): Value =>
  traits === undefined ? undefined : Object.hasOwn(traits, key) ? traits[key] : [];

function ofResource(path: WherePath, resource: RuleResource | undefined): Value {
  if (resource === undefined) return undefined;
  const [root, section, field, key = ''] = path;
  if (root === 'system') return resource.authorityType;
  if (section === 'kind') return resource.kind;
  if (section === 'metadata') {
    if (field === 'name') return resource.name;
    const { labels } = resource;
    return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  }
  if (field === 'traits') return ofTraits(resource.traits, key);
  return field === 'roles' ? resource.roles : resource.participants;
}
