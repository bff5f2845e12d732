import type { z } from 'zod';
import { signUserIdentity as row } from '../../api/operations/identity.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, second } from '../../base/time.ts';
import { loginsOf } from '../../domain/access.ts';
import { identity } from '../../domain/identity.ts';
import { builtInRole, effectiveTtlSeconds } from '../../domain/role-options.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { identityStream } from '../../domain/streams.ts';
import type { Grant } from '../../domain/user-fact.ts';
import { step, transact } from '../../log/execute.ts';
import { fingerprint } from '../../pki/ssh-key.ts';
import { findUser, isUnreadableUser, type UserEntry } from '../../views/users.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { lockedLogins, requireGrantUnlocked, requireUnlocked } from '../lock/in-force.ts';
import { rolesOf, signerOfCluster } from '../lookups.ts';
import { grantOf, readPublicKey, signCertificates } from '../user/issue-certificates.ts';

type Input = z.output<typeof row.input>;

/**
 * Certificates for a user without the password, because an operator asks for them. On the log before they are
 * signed, so that every one of them is listed.
 * @throws CodedError `not_found` for a user that does not exist; `access_denied` as `grantOf`, and, even with
 *   force, with the text of the lock for one that is locked.
 */
export const signUserIdentity = implementing(row, async (deps, call, input) => {
  deps.lag.require();
  const publicKey = readPublicKey(input.publicKey);
  const asOf = await deps.views.fresh();
  const entry = userToSignFor(deps, input.username);
  const { username, traits } = entry.state;
  requireUnlocked(deps, { user: username, roles: entry.state.roles });
  const roles = rolesOf(deps.views, entry.state.roles);
  const { grant, serial, forced } = grantFor(entry, roles, { ...input, isLocked: lockedLogins(deps) });
  const administers =
    input.administers && input.format !== 'openssh' && entry.state.roles.includes(builtInRole);
  const signer = await deps.keys.signer('user');
  const expiresAt = plusMs(deps.world.now(), grant.ttlSeconds * second);
  const { position } = await transact(
    deps.log.state,
    [
      step(identity, identityStream(serial), {
        type: 'sign-identity',
        identity: {
          serial,
          holder: {
            kind: 'user',
            username,
            lifeId: entry.life.id,
            roles: grant.roles,
            logins: grant.logins,
            administers,
          },
          key: fingerprint(publicKey.blob),
          format: input.format,
          expiresAt,
          forced,
        },
      }),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  deps.lag.require();
  requireGrantUnlocked(deps, username, grant);
  const { sshCertificate, tlsCertificatePem } = signCertificates(
    deps,
    signer,
    {
      username,
      roles,
      traits,
      lifeId: entry.life.id,
      publicKey,
      format: input.certificateFormat,
      routeToCluster: '',
    },
    grant,
  );
  return {
    sshCertificate,
    ...(input.format === 'openssh' ? {} : { tlsCertificatePem }),
    serial,
    expiresAt,
    ttlSeconds: grant.ttlSeconds,
    administers,
    hostSigners: [signerOfCluster(deps.views, 'host')],
  };
});

function userToSignFor({ views }: AuthDeps, username: string): UserEntry {
  const entry = findUser(views.users.state(), username);
  if (entry !== undefined) return entry;
  if (isUnreadableUser(views.users.state(), username))
    throw new CodedError(
      'access_denied',
      `user "${username}" has what this release cannot read: upgrade this auth server`,
    );
  throw new CodedError('not_found', `user "${username}" is not found`);
}

interface Granted {
  readonly grant: Grant;
  readonly serial: string;
  readonly forced: boolean;
}

interface GrantWish extends Pick<Input, 'ttlSeconds' | 'force'> {
  readonly isLocked: (login: string) => boolean;
}

/** For as long as the roles allow; with force, and only then, for as long as was requested. */
function grantFor({ state }: UserEntry, roles: readonly RoleSpec[], wish: GrantWish): Granted {
  const { username, traits } = state;
  const { ttlSeconds, force, isLocked } = wish;
  const grant = grantOf({ username, roles, traits, ttlSeconds, isLocked });
  const { serial } = grant;
  if (!force || ttlSeconds <= effectiveTtlSeconds(roles, ttlSeconds)) return { grant, serial, forced: false };
  // The logins that any role allows, since the limits of roles do not apply.
  const logins = loginsOf({ roles, traits }).filter((login) => !isLocked(login));
  const admitted = logins.length > 0 ? logins : grant.logins;
  return { grant: { ...grant, ttlSeconds, logins: admitted }, serial, forced: true };
}
