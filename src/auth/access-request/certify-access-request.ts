import { certifyAccessRequest as row } from '../../api/operations/access-request.ts';
import type { ShownCertificate } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { type Instant, msBetween, second } from '../../base/time.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { longestUntil } from '../../domain/login-renewal.ts';
import { certificateFormat } from '../../domain/role-options.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { maxRequests } from '../../pki/user-certificate.ts';
import { addedRoles, heldRequests, type HeldRequest, holdingStatesOf } from '../../views/held-requests.ts';
import { findRequest } from '../../views/requests.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { requireUnlocked } from '../lock/in-force.ts';
import { exchangeCertificates, personExchanging } from '../user/exchange-certificates.ts';
import { notFound } from './known-requests.ts';

export const certifyAccessRequest = implementing(row, async (deps, call, input) => {
  const person = await personExchanging(deps, call, input.publicKey);
  const { username, certificate, roles } = person;
  const now = deps.world.now();
  const held = requestsToName(deps, { username, certificate, asked: input.requestIds });
  // With more in it nobody could read the certificate.
  if (held.length > maxRequests)
    throw new CodedError(
      'bad_request',
      `with those that the certificate names it would be ${held.length} access requests, and a certificate names at most ${maxRequests}: log in again with those that you need`,
    );
  const requested = addedRoles(held, roles);
  const all = [...roles, ...requested];
  requireUnlocked(deps, { roles: requested.map(({ name }) => name) });
  if (certificateFormat(all, input.format) === 'oldssh')
    throw new CodedError(
      'access_denied',
      'a certificate of the form oldssh cannot name access requests: log in with --cert-format=standard',
    );
  const accessRequests = held.map((one) => one.entry.id);
  return exchangeCertificates(deps, call, person, {
    ...{ accessRequests, requested, format: input.format },
    ttlSeconds: secondsFor({ now, held, all, certificate, ttlSeconds: input.ttlSeconds }),
    told: (common) =>
      catalogue.certificateOfRequests({
        ...common,
        ...(certificate.loggedInAt !== undefined && { logged_in: certificate.loggedInAt }),
        access_requests: accessRequests,
      }),
    requireStill: () => requestsToName(deps, { username, certificate, asked: accessRequests }),
  });
});

interface Naming {
  readonly username: string;
  readonly certificate: ShownCertificate;
  readonly asked: readonly string[];
}

/**
 * Those that are asked for, and those that the certificate names and that count.
 * @throws CodedError `access_denied` where one that is asked for does not count; `not_found` for another's.
 */
function requestsToName(deps: AuthDeps, { username, certificate, asked }: Naming): readonly HeldRequest[] {
  const { views, world } = deps;
  const { lifeId } = certificate;
  const now = world.now();
  const accessRequests = [...new Set([...asked, ...certificate.accessRequests])];
  const held = heldRequests(holdingStatesOf(views), { username, lifeId, accessRequests }, now);
  const missing = asked.find((id) => !held.some(({ entry }) => entry.id === id));
  if (missing === undefined) return held;
  const entry = findRequest(views.requests.state(), missing);
  if (entry?.user !== username) throw notFound(missing);
  throw new CodedError(
    'access_denied',
    `access request ${missing} ${whyNot(entry.status, entry.expiresAt <= now)}`,
  );
}

function whyNot(status: string, isOver: boolean): string {
  if (isOver) return 'has expired';
  if (status !== 'approved') return `is ${status}`;
  return 'was approved, and does not count: one of its roles is gone, or may not be requested by the user any more';
}

interface Span {
  readonly now: Instant;
  readonly held: readonly HeldRequest[];
  readonly all: readonly RoleSpec[];
  readonly certificate: ShownCertificate;
  readonly ttlSeconds: number;
}

/** Until the first of: what was asked for, its certificate, a request, the longest session of a role. */
function secondsFor({ now, held, all, certificate, ttlSeconds }: Span): number {
  const longest = longestUntil(all, certificate.loggedInAt ?? now);
  const ends = [certificate.validUntil, longest, ...held.map(({ entry }) => entry.expiresAt)];
  const left = Math.min(ttlSeconds, ...ends.map((end) => Math.floor(msBetween(now, end) / second)));
  if (left < 1)
    throw new CodedError(
      'access_denied',
      'with these roles a session of this login is over by now: log in with the password again',
    );
  return left;
}
