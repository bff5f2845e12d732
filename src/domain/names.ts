import { CodedError } from '../base/errors.ts';

const roleNamePattern = /^[A-Za-z0-9_@:][A-Za-z0-9_@:.+-]{0,127}$/;

/**
 * What a mail address is without quotes, and a colon. No `/`: people make paths of names, and `user/<name>`.
 * No leading dash or plus, since a name becomes an argument of programs; and something in it that is no sign,
 * so that none is read as a pattern. ASCII alone: of two names that look alike, one would be somebody else's.
 * Source: RFC 5322, section 3.2.3 (atext), which RFC 5321 uses.
 */
const userNamePattern =
  /^(?=.*[A-Za-z0-9_@:])[A-Za-z0-9_@:!#$%&'*=?^`{|}~][A-Za-z0-9_@:.+!#$%&'*=?^`{|}~-]*$/;

const longestName = 128;
/** Of signs in a user name: a client writes each as three characters in the name of a file. */
const mostSigns = 32;
const signs = /[^A-Za-z0-9_@:.+-]/g;

/** Whether a user can have this name. */
export const isUserName = (name: string): boolean =>
  name.length <= longestName && userNamePattern.test(name) && (name.match(signs)?.length ?? 0) <= mostSigns;

/**
 * What a unix login may be: the portable set, with dots and capitals as directories (LDAP, AD) hand them out.
 * No leading dash, space or wildcard. Source: useradd(8), systemd "User/Group Name Syntax", relaxed.
 */
const loginPattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/;

export const isUnixLogin = (login: string): boolean => loginPattern.test(login) && login.length <= 32;

/**
 * Used in certificates, host names and file names: letters, digits, dots and dashes, each label non-empty.
 */
const clusterNamePattern =
  /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** Whether the text is valid as a cluster's name. */
export const isClusterName = (text: string): boolean => text.length <= 255 && clusterNamePattern.test(text);

/** @throws CodedError `bad_request` for an invalid name of a user or role. */
export function checkName(kind: 'user' | 'role', name: string): void {
  const isOne = kind === 'user' ? isUserName(name) : roleNamePattern.test(name);
  if (!isOne)
    throw new CodedError('bad_request', `${JSON.stringify(name)} is not a ${kind} name: ${rules[kind]}`);
}

const rules = {
  user:
    `1 to ${longestName} letters, digits and what else a mail address can have (_ @ : . + - and at most ` +
    `${mostSigns} of ! # $ % & ' * = ? ^ \` { | } ~), not beginning with a dot, plus or dash`,
  role: '1 to 128 letters, digits and any of _ @ : . + -, not beginning with a dot, plus or dash',
} as const;

/** Of the principal in a certificate of somebody who enters no server; what follows is the serial number. */
export const noLoginPrefix = '-teleport-nologin-';

/** @throws CodedError `bad_request` for a login that no unix system would have. */
export function checkLogin(login: string): void {
  if (!isUnixLogin(login))
    throw new CodedError('bad_request', `${JSON.stringify(login)} is not a valid unix login`);
}
