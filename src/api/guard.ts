import { CodedError } from '../base/errors.ts';
import {
  checkRuleAccess,
  mayBeAllowed,
  type RuleDecision,
  type RulePlace,
  type RuleSubject,
} from '../domain/rule-access.ts';
import type { RuleVerb } from '../domain/rule-subjects.ts';
import type { RuleResource } from '../domain/where/evaluate-where.ts';
import type { Caller, Operation, Who } from './operation.ts';
import type { Call, ServerDeps } from './server-deps.ts';

/** What the guard compares with an operation's `who`. */
export function whoOf(caller: Caller): Who {
  if (caller.kind === 'host') return caller.role;
  return caller.kind === 'user' && caller.administers === true ? 'operator' : caller.kind;
}

/** `user:alice`, `node:<uuid>`, … as the log's `cause.actor` has it. */
export function actorOf(caller: Caller): string {
  switch (caller.kind) {
    case 'anyone':
      return 'anyone';
    case 'user':
    case 'foreign':
      return `user:${caller.username}`;
    case 'host':
      return caller.role === 'Admin' ? 'admin' : `${caller.role.toLowerCase()}:${caller.hostId}`;
  }
}

/**
 * Lets the caller pass or throws `access_denied`. An operation open to `anyone` is open to every caller that
 * was admitted at all, and one open to people is open to operators.
 */
export function admit(who: readonly Who[], caller: Caller, what: string): void {
  if (isAmong(who, caller)) return;
  throw new CodedError(
    'access_denied',
    caller.kind === 'anyone'
      ? `${what} needs a client certificate`
      : `${what} is not open to ${actorOf(caller)}${who.includes('Admin') ? ': it works on the machine of an auth server alone' : ''}`,
  );
}

function isAmong(who: readonly Who[], caller: Caller): boolean {
  const is = whoOf(caller);
  return who.includes('anyone') || who.includes(is) || (is === 'operator' && who.includes('user'));
}

type Row = Pick<Operation, 'name' | 'who' | 'resource' | 'verb' | 'about' | 'sift' | 'asksWhole'>;

/** One call that was let in so far. */
export interface Admitted {
  /** Of a person whose roles are asked what they may do. */
  readonly rules: RuleSubject | undefined;
  /** Once the input is known. @throws CodedError `access_denied` */
  checkInput(input: unknown): void;
  /** The output without what this caller may not see. */
  sift(output: unknown): unknown;
}

/**
 * The one place where it is decided who may call what. Machines, and whoever calls for themselves, are let in
 * by the row; where it is open to operators, the rules of a person's roles are asked: an identity that was
 * signed to administer needs none that allow it, and is refused by one that denies.
 * @throws CodedError `access_denied`, before the input is read, where no input would be allowed.
 */
export function guard(row: Row, caller: Caller, rulesOf: ServerDeps['rulesOf']): Admitted {
  const rules = caller.kind === 'user' && row.who.includes('operator') ? rulesOf?.(caller) : undefined;
  const byRow = isAmong(row.who, caller);
  if (rules === undefined || caller.kind !== 'user') {
    admit(row.who, caller, row.name);
    return { rules, checkInput: () => undefined, sift: (output) => output };
  }
  const kinds = typeof row.resource === 'string' ? [row.resource] : row.resource;
  if (!byRow && !kinds.some((kind) => mayBeAllowed(rules, { verb: row.verb, resource: { kind } })))
    throw refused(row.verb, namesOf(kinds), rules, undefined);
  const isForOwn = row.who.includes('user');
  return {
    rules,
    checkInput: (input) => {
      if (isForOwn) return;
      const about = row.about?.(input) ?? { kind: kinds[0] ?? '' };
      for (const resource of [about].flat()) {
        // What a list holds is asked one by one.
        const isAskedLater = row.verb === 'list' || row.asksWhole === true;
        if (isAskedLater && mayBeAllowed(rules, { verb: row.verb, resource })) continue;
        if (byRow && row.asksWhole === true) continue;
        require(rules, { verb: row.verb, resource, unlessDenied: byRow });
      }
    },
    sift: (output) =>
      row.sift === undefined || byRow
        ? output
        : row.sift(
            output,
            (resource) => checkRuleAccess(rules, { verb: row.verb, resource }).status === 'allowed',
          ),
  };
}

interface Required {
  readonly verb: RuleVerb;
  readonly resource: RuleResource;
  /** No rule has to allow it. */
  readonly unlessDenied: boolean;
}

function require(rules: RuleSubject, { verb, resource, unlessDenied }: Required): void {
  const decision = checkRuleAccess(rules, { verb, resource });
  if (admits(decision, unlessDenied)) return;
  throw refused(verb, namesOf([resource.kind]), rules, decision.by);
}

/** @param unlessDenied no rule has to allow it. */
const admits = ({ status, by }: RuleDecision, unlessDenied: boolean): boolean =>
  status === 'allowed' || (unlessDenied && by === undefined);

/** An operation on many kinds does not list them all: which one was meant is not known yet. */
const namesOf = (kinds: readonly string[]): string =>
  kinds.length > 2 ? 'any kind of resource' : kinds.map((kind) => JSON.stringify(kind)).join(' or ');

/** In the words of 4.4, and why. */
function refused(
  verb: RuleVerb,
  what: string,
  { username, roles }: RuleSubject,
  by: RulePlace | undefined,
): CodedError {
  const why =
    by === undefined
      ? `no rule of the roles of ${username} (${roles.map(({ name }) => name).join(', ')}) allows it`
      : `role "${by.role}" denies it (deny.rules[${by.index}])`;
  return new CodedError(
    'access_denied',
    `access denied to perform action ${JSON.stringify(verb)} on ${what}: ${why}`,
  );
}

/**
 * Whether the caller may do this besides: machines of the cluster and its operators whatever no rule denies.
 */
export function may(
  { caller, rules }: Pick<Call, 'caller' | 'rules'>,
  verb: RuleVerb,
  resource: RuleResource,
): boolean {
  if (caller.kind !== 'user') return caller.kind === 'host';
  if (rules === undefined) return caller.administers === true;
  return admits(checkRuleAccess(rules, { verb, resource }), caller.administers === true);
}
