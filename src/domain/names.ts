import { CodedError } from '../base/errors.ts';

/**
 * No `/` and no leading dot or dash: a user name becomes a file name of the client and an argument of
 * programs.
 */
const namePattern = /^[A-Za-z0-9_@:][A-Za-z0-9_@:.+-]{0,127}$/;

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
  if (!namePattern.test(name))
    throw new CodedError(
      'bad_request',
      `${JSON.stringify(name)} is not a ${kind} name: 1 to 128 letters, digits and any of _ @ : . + -, ` +
        'not beginning with a dot, plus or dash',
    );
}

/** Of the principal in a certificate of somebody who enters no server; what follows is the serial number. */
export const noLoginPrefix = '-teleport-nologin-';

/** @throws CodedError `bad_request` for a login that no unix system would have. */
export function checkLogin(login: string): void {
  if (!isUnixLogin(login))
    throw new CodedError('bad_request', `${JSON.stringify(login)} is not a valid unix login`);
}
