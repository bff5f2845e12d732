import { CodedError, messageOf } from '../base/errors.ts';
import { isLabelKey } from './host-text.ts';
import { labelPattern } from './label-pattern.ts';
import { parseLoginTemplate } from './login-template.ts';
import { checkLogin, checkName } from './names.ts';
import { checkRoleJoining, noJoining } from './role-joining.ts';
import { checkRoleRequest, noRequest } from './role-request.ts';
import { checkRules, noRules } from './role-rule.ts';
import type { RoleSpec } from './role-spec.ts';

type Conditions = RoleSpec['allow'];

/** A label key of a host. A star is no wildcard here, except alone, where it means all servers. */
const isKey = (key: string): boolean => key === '*' || isLabelKey(key.replaceAll('*', ''));

/**
 * Refuses what has no meaning, so that evaluation never has to guess.
 * @throws CodedError `bad_request` that names the role, the place and the reason.
 */
export function checkRoleSpec(role: RoleSpec): void {
  checkName('role', role.name);
  checkConditions(role, 'allow');
  checkConditions(role, 'deny');
  try {
    checkRules(role.rules ?? noRules);
    checkRoleRequest(role.request ?? noRequest);
    checkRoleJoining(role.joining ?? noJoining);
  } catch (e) {
    throw new CodedError('bad_request', `role "${role.name}", ${messageOf(e)}`, { cause: e });
  }
}

/** @throws CodedError `bad_request` as `checkRoleSpec` does, for one side of the role. */
export function checkConditions(
  role: Pick<RoleSpec, 'name' | 'allow' | 'deny'>,
  side: 'allow' | 'deny',
): void {
  try {
    checkLogins(role[side].logins);
    checkLabels(role[side].nodeLabels);
  } catch (e) {
    throw new CodedError('bad_request', `role "${role.name}", ${side}: ${messageOf(e)}`, { cause: e });
  }
}

function checkLogins(logins: Conditions['logins']): void {
  for (const login of logins) {
    const template = parseLoginTemplate(login);
    const text = template.kind === 'literal' ? login : `${template.prefix}${template.suffix}`;
    if (text.includes('*')) throw new CodedError('bad_request', 'wildcard matching is not allowed in logins');
    if (template.kind === 'literal') checkLogin(login);
  }
}

function checkLabels(labels: Conditions['nodeLabels']): void {
  const keys = Object.keys(labels);
  for (const [key, values] of Object.entries(labels)) {
    if (!isKey(key)) throw new CodedError('bad_request', `${JSON.stringify(key)} is not a label name`);
    if (values.length === 0)
      throw new CodedError('bad_request', `label "${key}" has no value, so it could never match`);
    for (const value of values) checkValue(key, value);
  }
  if (keys.includes('*') && keys.length > 1)
    throw new CodedError('bad_request', `the label '*': '*' means every server: leave the other labels out`);
}

function checkValue(key: string, value: string): void {
  if (key === '*' && value !== '*')
    throw new CodedError(
      'bad_request',
      `the label '*' can only have the value '*', not ${JSON.stringify(value)}`,
    );
  if (value.includes('{{'))
    throw new CodedError('bad_request', `label "${key}": templates work in logins only`);
  labelPattern(value);
}
