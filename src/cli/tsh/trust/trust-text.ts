import { fingerprint, fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { KnownCluster } from './judge-announcement.ts';
import type { Renewed } from './cluster-trust.ts';

const logInAgain =
  `log in again ('tsh logout', then 'tsh login'), after you asked the administrator of your cluster for the fingerprint of ` +
  `its host authority, which is the key that it has to be then`;

/**
 * Why a host of an unknown authority stays unknown after the cluster was asked for its keys: which key is
 * known here, what the proxy claims about it, and what to do.
 */
export function unknownAuthorityText({ renewal, withdrawn }: Renewed, known: KnownCluster): string {
  const fingerprints = known.keys.sshKeys.map((line) => fingerprint(fromAuthorizedKeyLine(line)));
  const named = fingerprints.length === 0 ? 'none' : fingerprints.join(', ');
  const claimed = withdrawn.filter((one) => fingerprints.includes(one.fingerprint)).at(-1);
  const claim =
    claimed === undefined
      ? ''
      : ` The proxy claims that ${claimed.fingerprint} was withdrawn at ${claimed.at} (${claimed.why}).`;
  return (
    `The host authorities of cluster ${known.clusterName} that are known here: ${named}.${claim} ` +
    `${whyNotLearnt(renewal)}: ${logInAgain}`
  );
}

function whyNotLearnt(renewal: Renewed['renewal']): string {
  switch (renewal.status) {
    case 'none':
      return 'The cluster announces no other';
    case 'current':
    case 'renewed':
      return 'The cluster announces these and no other';
    case 'refused':
      return `Nothing was changed, since ${renewal.reason}`;
    case 'unreachable':
      return `Whether the cluster announces others could not be read (${renewal.reason})`;
  }
}
