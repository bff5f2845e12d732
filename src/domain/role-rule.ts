import { z } from 'zod';
import { CodedError, messageOf } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { resourceKinds, ruleVerbs } from './rule-subjects.ts';
import { parseWhere } from './where/where-syntax.ts';

/** What may be done with resources of the cluster: `resources` and `verbs` each with `*` for all. */
export const roleRule = z.strictObject({
  resources: z.array(z.string().max(64)).min(1).max(64),
  verbs: z.array(z.string().max(64)).min(1).max(16),
  /** A condition that has to hold as well; empty: none. */
  where: z.string().max(2_000).default(''),
});
export type RoleRule = z.infer<typeof roleRule>;

/** Beside the conditions of servers, which releases without rules read: those leave this out. */
export const ruleSet = z.strictObject({
  allow: z.array(roleRule).max(200).default([]),
  deny: z.array(roleRule).max(200).default([]),
});
export type RuleSet = z.infer<typeof ruleSet>;

export const noRules: RuleSet = { allow: [], deny: [] };

/** In place of rules that this release cannot read: they might deny. */
export const allDenied: RuleSet = {
  allow: [],
  deny: [{ resources: ['*'], verbs: ['*'], where: '' }],
};

/**
 * @throws CodedError `bad_request` that names the rule by its place (`allow.rules[2]`), for a resource, a
 *   verb or a condition that has no meaning.
 */
export function checkRules({ allow, deny }: RuleSet): void {
  for (const [side, rules] of [
    ['allow', allow],
    ['deny', deny],
  ] as const)
    for (const [i, rule] of rules.entries()) {
      const place = `${side}.rules[${i}]`;
      checkNames(place, 'resource', rule.resources, resourceKinds);
      checkNames(place, 'verb', rule.verbs, ruleVerbs);
      checkWhere(place, rule.where);
    }
}

function checkNames(place: string, what: string, names: readonly string[], known: readonly string[]): void {
  for (const name of names) {
    if (name === '*' || known.includes(name)) continue;
    const near = nearest(name, known);
    throw new CodedError(
      'bad_request',
      `${place}.${what}s: ${JSON.stringify(name)} is not a ${what}${near === undefined ? '' : `; did you mean ${near}?`} (known: ${known.join(', ')}, *)`,
    );
  }
}

function checkWhere(place: string, where: string): void {
  if (where === '') return;
  try {
    parseWhere(where);
  } catch (e) {
    throw new CodedError('bad_request', `${place}.where: ${messageOf(e)}`, { cause: e });
  }
}
