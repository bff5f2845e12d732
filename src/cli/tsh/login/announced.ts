import { CodedError } from '../../../base/errors.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import { canonicalHostPart, isLoopback } from '../../../domain/host-text.ts';
import { fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { Prompter } from '../../prompt.ts';
import type { ClusterAuthorities, KnownAuthority } from './known-hosts.ts';

/*
 * A proxy announces its addresses from now on, and the cluster it belongs to. Both are stored: the next
 * password goes there, and stock ssh trusts the cluster's authority. So everything that a person did not
 * type, and that earlier logins at this proxy did not bring, is a change, and a person has to accept it.
 */

/** The new addresses that a proxy announces, one line each. All names of this machine count as one. */
export function changedHosts(
  announced: { readonly web: HostPort; readonly ssh: HostPort },
  known: readonly string[],
): readonly string[] {
  const spelled = new Set(known.map(canonicalHostPart));
  const isNew = ({ host }: HostPort): boolean =>
    !spelled.has(canonicalHostPart(host)) && !(isLoopback(host) && known.some(isLoopback));
  return [
    ...(isNew(announced.web)
      ? [`logins, with password and code, go to another host from now on: ${formatHostPort(announced.web)}`]
      : []),
    ...(isNew(announced.ssh)
      ? [
          `its SSH is at another host, which ssh will believe its authority for: ${formatHostPort(announced.ssh)}`,
        ]
      : []),
  ];
}

/**
 * What is new about the clusters that a proxy claims, one line each: a different name from the last login
 * here, the same name with none of its authorities (a rotation keeps one for a while), or a name that another
 * proxy brought with other authorities.
 */
export function changedClusters(
  claimed: readonly ClusterAuthorities[],
  proxyHost: string,
  known: readonly KnownAuthority[],
): readonly string[] {
  const names = new Set(known.filter((k) => k.proxyHost === proxyHost).map((k) => k.clusterName));
  return claimed.flatMap(({ clusterName, checkingKeys }) => {
    const claimedKeys = checkingKeys.map((line) => fromAuthorizedKeyLine(line));
    const stranger = (of: readonly KnownAuthority[]): KnownAuthority | undefined =>
      of.some(({ blob }) => claimedKeys.some((key) => key.equals(blob))) ? undefined : of[0];
    const same = known.filter((k) => k.clusterName === clusterName);
    const here = stranger(same.filter((k) => k.proxyHost === proxyHost));
    const elsewhere = stranger(same.filter((k) => k.proxyHost !== proxyHost));
    return [
      ...(names.size > 0 && !names.has(clusterName)
        ? [`it leads to cluster '${clusterName}', and led to '${[...names].join("', '")}' before`]
        : []),
      ...(here === undefined
        ? []
        : [
            `cluster '${clusterName}' has none of the host authorities that it had (was it set up from scratch?)`,
          ]),
      ...(elsewhere === undefined
        ? []
        : [
            `cluster '${clusterName}' is known from the proxy ${elsewhere.proxyHost}, with other authorities`,
          ]),
    ];
  });
}

interface Asking {
  /** By `--accept-announced`. */
  readonly accepted: boolean;
  readonly prompter: Pick<Prompter, 'interactive' | 'line'>;
}

/**
 * Returns when there is no change or a person accepts all of them.
 * @throws CodedError `access_denied` when they do not, or nobody is there to ask. Nothing has been stored
 *   then.
 */
export async function acceptChanges(
  changes: readonly string[],
  proxyUrl: string,
  { accepted, prompter }: Asking,
): Promise<void> {
  if (changes.length === 0 || accepted) return;
  const said = `the proxy at ${proxyUrl} announces what was neither typed nor known: ${changes.join('; ')}`;
  if (prompter.interactive) {
    const answer = await prompter.line(`WARNING: ${said}.\nIs that what you expect? [y/n]`);
    if (/^y(es)?$/i.test(answer.trim())) return;
  }
  throw new CodedError(
    'access_denied',
    `${said}. Nothing was stored. If you know that this is right, log in with --accept-announced; ` +
      'else ask the administrator of your cluster',
  );
}
