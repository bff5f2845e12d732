import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { type JoinRole, parseJoinRoles } from '../../domain/join-token.ts';

/** A line of `auth_service.tokens`. */
export interface TokenLine {
  readonly roles: readonly JoinRole[];
  /** The token, or the absolute path of a file that holds it. */
  readonly token: string;
}

/** `node:secret`, `proxy,node:/path`. No message repeats the line: it has a secret. */
export const tokenLines = z.array(z.string()).transform((lines, context) =>
  lines.map((line, i): TokenLine => {
    const [, names = '', token = ''] = /^([^:]*):(.*)$/s.exec(line) ?? [];
    const issue = (message: string): void => {
      context.addIssue({ code: 'custom', path: [i], message });
    };
    if (names.trim() === '' || token.trim() === '')
      issue('invalid static token spec, expected "role,role:token"; the role is node or proxy');
    return { roles: rolesIn(names, issue), token: token.trim() };
  }),
);

function rolesIn(names: string, issue: (message: string) => void): TokenLine['roles'] {
  try {
    return parseJoinRoles(names);
  } catch (e) {
    if (!isCoded(e)) throw e;
    issue(e.message);
    return [];
  }
}

/**
 * Reads the files that hold tokens. @throws CodedError `misconfigured` naming a file that cannot be read, or
 * is empty.
 */
export const readTokenLines = (lines: readonly TokenLine[]): TokenLine[] =>
  lines.map(({ roles, token }) => {
    if (!isAbsolute(token)) return { roles, token };
    let text: string;
    try {
      text = readFileSync(token, 'utf8').trim();
    } catch (e) {
      throw new CodedError(
        'misconfigured',
        `auth_service.tokens: cannot read the file ${token}: ${messageOf(e)}`,
      );
    }
    if (text === '') throw new CodedError('misconfigured', `auth_service.tokens: the file ${token} is empty`);
    return { roles, token: text };
  });
