import { isClusterName, isUserName } from './names.ts';

/**
 * How a person of another cluster is called here: in the audit, in locks, in sessions. No user of this
 * cluster
 * can have such a name, since none has a slash; `alice@example.com` would be a name that users have.
 */
export const foreignUsername = (clusterName: string, username: string): string =>
  `${clusterName}/${username}`;

/** Whether it is a name as `foreignUsername` makes them. */
export const isForeignUsername = (name: string): boolean => splitForeignUsername(name) !== undefined;

/** The two parts of such a name; undefined for any other text. */
export function splitForeignUsername(
  name: string,
): { readonly clusterName: string; readonly username: string } | undefined {
  const at = name.indexOf('/');
  if (at < 0) return undefined;
  const [clusterName, username] = [name.slice(0, at), name.slice(at + 1)];
  return isClusterName(clusterName) && isUserName(username) ? { clusterName, username } : undefined;
}
