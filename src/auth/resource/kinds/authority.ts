import { formatGoDuration } from '../../../base/go-duration.ts';
import type { AuthorityType } from '../../../domain/authority-facts.ts';
import {
  type AuthorityDocument,
  authorityKind,
  namesAuthority,
} from '../../../domain/resources/authority.ts';
import type { Rotation } from '../../../domain/rotation.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { AuthViews } from '../../auth-views.ts';
import { signerOfCluster } from '../../lookups.ts';
import type { ServedKind } from '../served-kind.ts';

function rotationOf(rotation: Rotation): AuthorityDocument['spec']['rotation'] {
  const { lastRotatedAt } = rotation;
  const last = lastRotatedAt === null ? {} : { last_rotated: lastRotatedAt };
  if (rotation.phase === 'standby') return { state: 'standby', phase: 'standby', ...last };
  return {
    state: 'in_progress',
    phase: rotation.phase,
    mode: rotation.mode,
    current_id: rotation.rotationId,
    started: rotation.startedAt,
    grace_period: formatGoDuration(rotation.gracePeriodMs),
    ...last,
  };
}

function documentOf(views: AuthViews, type: AuthorityType): AuthorityDocument {
  const { clusterName, checkingKeys, tlsCertificatesPem } = signerOfCluster(views, type);
  const { state } = views.authorities.state()[type];
  const standby: Rotation = { phase: 'standby', lastRotatedAt: null, lastRotationId: null };
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: clusterName },
    spec: {
      type,
      cluster_name: clusterName,
      checking_keys: checkingKeys.map((line) => Buffer.from(line).toString('base64')),
      tls_key_pairs: tlsCertificatesPem.map((pem) => ({ cert: Buffer.from(pem).toString('base64') })),
      fingerprints: checkingKeys.map((line) => fingerprint(fromAuthorizedKeyLine(line))),
      rotation: rotationOf(state.status === 'created' ? state.rotation : standby),
    },
  };
}

const all = (views: AuthViews): AuthorityDocument[] =>
  (['host', 'user'] as const).map((type) => documentOf(views, type));

/** The authorities of the cluster, without their private keys. */
export const servedAuthorities: ServedKind = {
  kind: authorityKind,
  list: ({ views }) => Promise.resolve(all(views)),
  find: ({ views }, _call, name) => Promise.resolve(all(views).find((one) => namesAuthority(name, one))),
};
