import { renewCertificates as row } from '../../api/operations/user.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, second } from '../../base/time.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import {
  decideRenewal,
  type Renewal,
  renewalKey,
  renewalWindowMs,
  type RenewalWish,
} from '../../domain/login-renewal.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { signerOf } from '../../views/authorities.ts';
import { addedRoles, type HeldRequest, heldRequests, holdingStatesOf } from '../../views/held-requests.ts';
import { implementing } from '../implementing.ts';
import { requireToLeadTo } from '../trust/leaf-authorities.ts';
import { exchangeCertificates, personExchanging } from './exchange-certificates.ts';

/**
 * Exchanges a person's valid certificate for another one, for a key of the person's choice, where the cluster
 * allows it, where a rotation is replacing the key that signed it, or where it is to lead to another cluster.
 * The new one follows the current roles, and never lasts beyond the longest session that began with the
 * password.
 * @throws CodedError `access_denied` with the reason why not.
 */
export const renewCertificates = implementing(row, async (deps, call, input) => {
  const person = await personExchanging(deps, call, input.publicKey);
  const { username, certificate, roles } = person;
  const signing = signerOf(deps.views.authorities.state(), 'user').key;
  const isOfLeavingKey = certificate.authorityPem !== signing.tlsCertificatePem;
  const { routeToCluster = certificate.routeToCluster } = input;
  const isRerouted = routeToCluster !== certificate.routeToCluster;
  if (isRerouted) requireToLeadTo(deps, routeToCluster);
  const now = deps.world.now();
  const held = heldRequests(holdingStatesOf(deps.views), { username, ...certificate }, now);
  const wish: Omit<RenewalWish, 'roles'> = {
    now,
    loggedInAt: certificate.loggedInAt,
    validUntil: certificate.validUntil,
    end: isOfLeavingKey || isRerouted ? 'stays' : 'moves',
    windowMs: renewalWindowMs(deps.views.configuration.state().standing[renewalKey]),
    ttlSeconds: input.ttlSeconds,
  };
  const { renewal, kept } = decideWith(wish, roles, held);
  if (renewal.status === 'refused') throw new CodedError('access_denied', renewal.reason);
  const { loggedInAt, ttlSeconds } = renewal;
  const accessRequests = kept.map(({ entry }) => entry.id);
  return exchangeCertificates(deps, call, person, {
    ...{ accessRequests, requested: addedRoles(kept, roles), ttlSeconds, format: input.format },
    ...(isRerouted && { routeToCluster }),
    told: (common) =>
      catalogue.certificateRenewed({
        ...common,
        logged_in: loggedInAt,
        ...(accessRequests.length > 0 && { access_requests: accessRequests }),
      }),
  });
});

interface Decided {
  readonly renewal: Renewal;
  readonly kept: readonly HeldRequest[];
}

/**
 * A certificate never outlasts an access request that it names: requests that end before the new one are not
 * in it.
 */
function decideWith(
  wish: Omit<RenewalWish, 'roles'>,
  roles: readonly RoleSpec[],
  held: readonly HeldRequest[],
): Decided {
  const renewal = decideRenewal({ ...wish, roles: [...roles, ...addedRoles(held, roles)] });
  if (renewal.status === 'refused') return { renewal: decideRenewal({ ...wish, roles }), kept: [] };
  const end = plusMs(wish.now, renewal.ttlSeconds * second);
  return { renewal, kept: held.filter(({ entry }) => entry.expiresAt >= end) };
}
