import { CodedError } from '../../../base/errors.ts';
import { checkedNodeName } from '../ssh/ssh-target.ts';

/** A path here, or on a node. */
export type Location =
  | { readonly kind: 'local'; readonly path: string }
  | {
      readonly kind: 'remote';
      readonly login: string | undefined;
      readonly host: string;
      readonly path: string;
    };

/**
 * Reads `path` or `[login@]host:path`; a colon after a slash belongs to a local path (`./a:b`). An empty
 * remote path is the home directory. @throws CodedError `bad_request`.
 */
export function parseLocation(text: string): Location {
  const match = /^(?:([^/:[\]]*)@)?(?:\[([^\]/]+)\]|([^/:[\]@]+)):(.*)$/s.exec(text);
  if (match === null) return { kind: 'local', path: text };
  const [, login, bracketed, plain, path = ''] = match;
  if (login === '') throw new CodedError('bad_request', `'${text}': expected [user@]host:path`);
  return {
    kind: 'remote',
    login,
    host: checkedNodeName(bracketed ?? plain ?? ''),
    path: path === '' ? '.' : path,
  };
}

/** In the form in which it may be typed. */
export const formatLocation = (remote: Extract<Location, { kind: 'remote' }>): string => {
  const host = remote.host.includes(':') ? `[${remote.host}]` : remote.host;
  return `${remote.login === undefined ? '' : `${remote.login}@`}${host}:${remote.path}`;
};
