import { CodedError } from '../../base/errors.ts';
import { nearest } from '../../base/nearest.ts';
import { authorityKind } from './authority.ts';
import { accessRequestKind } from './access-request.ts';
import { clusterKinds } from './cluster.ts';
import { hostKinds } from './hosts.ts';
import type { KindOfResource } from './kind.ts';
import { lockResourceKind } from './lock.ts';
import { remoteClusterKind } from './remote-cluster.ts';
import { reverseTunnelKind } from './reverse-tunnel.ts';
import { roleKind } from './role.ts';
import { tokenKind } from './token.ts';
import { trustedClusterKind } from './trusted-cluster.ts';
import { userKind } from './user.ts';

/** In the order in which `tctl get all` prints them, and in which a file of all of them is restored. */
export const kindsOfResources: readonly KindOfResource[] = [
  roleKind,
  userKind,
  tokenKind,
  lockResourceKind,
  accessRequestKind,
  trustedClusterKind,
  remoteClusterKind,
  reverseTunnelKind,
  ...hostKinds,
  authorityKind,
  ...clusterKinds,
];

const signOn = 'single sign-on is not in this release';

/** Kinds of 4.4 that this release does not have, by all their names, with why. */
const missing: Readonly<Record<string, string>> = {
  ...named(['github', 'oidc', 'saml', 'connector', 'connectors', 'auth_connector'], signOn),
  ...named(['tunnel_connection'], 'there are no tunnels to other clusters'),
  ...named(['namespace', 'namespaces', 'ns'], 'there is one namespace, "default"'),
  ...named(['semaphore', 'semaphores', 'sem', 'sems'], 'semaphores are not in this release'),
  ...named(['static_tokens'], 'they are in the configuration file; "tctl get tokens" shows them'),
};

function named(names: readonly string[], why: string): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, why]));
}

/**
 * A kind by its name or another name that 4.4 has for it.
 * @throws CodedError `bad_request` that says why there is none, and what may have been meant.
 */
export function kindNamed(text: string): KindOfResource {
  const name = text.toLowerCase();
  const found = kindsOfResources.find(({ kind, aliases }) => kind === name || aliases.includes(name));
  if (found !== undefined) return found;
  if (Object.hasOwn(missing, name))
    throw new CodedError(
      'bad_request',
      `resources of kind ${JSON.stringify(name)} are not supported: ${missing[name]}`,
    );
  const known = kindsOfResources.map(({ kind }) => kind);
  const near = nearest(name, known);
  throw new CodedError(
    'bad_request',
    `unknown kind of resource ${JSON.stringify(text.slice(0, 64))}${near === undefined ? '' : `; did you mean ${near}?`} (known: ${known.join(', ')})`,
  );
}

/** Which resources a command line names: all of a kind, or one of them. */
export interface ResourceReference {
  readonly kind: KindOfResource;
  readonly name: string | undefined;
}

/**
 * `kind`, `kind/name`, and with a space or a tab in place of the slash. Source: reference 4.4, cli §2.4.
 * @throws CodedError `bad_request`
 */
export function parseReference(text: string): ResourceReference {
  const at = text.search(/[/ \t]/);
  const kind = kindNamed(at < 0 ? text : text.slice(0, at));
  const name = at < 0 ? undefined : text.slice(at + 1);
  if (name === '')
    throw new CodedError('bad_request', `${JSON.stringify(text)}: a name is missing after the kind`);
  if (kind.single !== undefined && name !== undefined && name !== kind.single)
    throw new CodedError('bad_request', `there is one ${kind.kind}, called ${kind.single}`);
  return { kind, name: name ?? kind.single };
}
