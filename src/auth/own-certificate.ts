import type { Server } from 'node:https';
import { randomFraction } from '../base/backoff.ts';
import { minute } from '../base/time.ts';
import { startTicker, type Timer } from '../base/timers.ts';
import { renewalPlan } from '../domain/certificate-renewal.ts';
import { hostCertificateLife } from '../pki/host-certificate-life.ts';
import { keysInUse } from '../domain/authority-state.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { type AuthoritiesState, marksOf, trustedOf } from '../views/authorities.ts';
import type { AuthDeps } from './deps.ts';
import { issueHostIdentity } from './host/issue-host-identity.ts';
import { secureContextOf, type TlsContext } from '../base/tls-policy.ts';

/** The names of an auth server in its certificate. */
export interface OwnNames {
  readonly hostId: string;
  readonly nodename: string;
  readonly publicAddresses: readonly string[];
}

/** The certificate that an auth server shows, which it makes for itself. */
export interface OwnCertificate {
  /** For a server that is created now. */
  readonly context: TlsContext;
  /**
   * Gives `server` other authorities when authorities change, and another certificate when another key is to
   * be shown, and before the one it shows ends; `onChange` is called after that. Connections that are open
   * stay open.
   */
  keep(server: Pick<Server, 'setSecureContext'>, onChange?: () => void): { stop(): void };
  /** How far the certificate and its authorities follow the rotations. */
  adopted(): Adopted;
}

interface Made {
  readonly context: TlsContext;
  /** The key of the host authority by which servers were known then. */
  readonly keyId: string;
  readonly renewAt: string;
  /** For these authorities. */
  readonly state: AuthoritiesState;
}

type Deps = Pick<
  AuthDeps,
  'views' | 'keys' | 'world' | 'ownAudit' | 'hostId' | 'hostCertificateTtlMs' | 'sink'
>;

/** Makes the first one. @throws CodedError `unavailable` when nothing can sign. */
export async function ownCertificate(deps: Deps, names: OwnNames): Promise<OwnCertificate> {
  const { world, sink } = deps;
  const startedAt = world.now();
  const random = randomFraction(world);
  const made = async (): Promise<Made> => {
    const state = deps.views.authorities.state();
    const { keyId } = keysInUse(state.host.state).servers;
    const { hostId, nodename, publicAddresses } = names;
    const identity = await issueHostIdentity(deps, {
      ...{ hostId, nodename, role: 'Auth', use: 'servers' },
      additionalPrincipals: [nodename, ...publicAddresses],
    });
    return {
      context: { key: identity.privateKeyPem, cert: identity.tlsCertificatePem, ca: trustedNow(deps) },
      renewAt: renewalPlan(hostCertificateLife(identity), { random, startedAt }).at,
      ...{ keyId, state },
    };
  };
  /** The same certificate with the authorities of now, while it is of the key that servers are to show. */
  const after = async (before: Made): Promise<Made> => {
    const state = deps.views.authorities.state();
    const isOfKey = keysInUse(state.host.state).servers.keyId === before.keyId;
    return isOfKey && world.now() < before.renewAt
      ? { ...before, context: { ...before.context, ca: trustedNow(deps) }, state }
      : await made();
  };
  const first = await made();
  let shown = first;
  return {
    context: first.context,
    adopted: () => marksOf(shown.state),
    keep: (server, onChange = () => undefined) => {
      let making = false;
      let failed = false;
      /** For the authorities at that time, until they change. */
      const replace = (): void => {
        if (making) return;
        making = true;
        failed = false;
        after(shown)
          .then((next) => {
            shown = next;
            server.setSecureContext(secureContextOf(next.context));
            onChange();
          })
          .catch((e: unknown) => {
            failed = true;
            sink.error('the certificate of the auth server could not be renewed; tries again', {
              reason: String(e),
            });
          })
          .finally(() => {
            making = false;
            if (!failed && shown.state !== deps.views.authorities.state()) replace();
          });
      };
      const looking: Timer = startTicker(
        () => {
          if (world.now() >= shown.renewAt || failed) replace();
        },
        Math.min(minute, deps.hostCertificateTtlMs / looksInALife),
      ).unref();
      const trust = deps.views.authorities.changes.subscribe({
        // The first call delivers the current state: usually that of `first`.
        next: (state) => {
          if (state !== shown.state) replace();
        },
        // `views.broken` ends the service.
        error: () => undefined,
      });
      return {
        stop: () => {
          looking.stop();
          trust.unsubscribe();
        },
      };
    },
  };
}

const looksInALife = 60;

function trustedNow(deps: Deps): readonly string[] {
  const { user, host } = authoritiesOf(deps);
  return [...host, ...user];
}

/** X.509 authorities that are trusted now, PEM. */
export function authoritiesOf({ views }: Pick<AuthDeps, 'views'>): {
  readonly user: readonly string[];
  readonly host: readonly string[];
} {
  const state = views.authorities.state();
  return {
    user: trustedOf(state, 'user').map((key) => key.tlsCertificatePem),
    host: trustedOf(state, 'host').map((key) => key.tlsCertificatePem),
  };
}
