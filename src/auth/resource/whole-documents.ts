import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { type AuthorityType, sshSecretName, tlsSecretName } from '../../domain/authority-facts.ts';
import { isExpired, expiryOf, tokenIdOf } from '../../domain/join-token.ts';
import type { AuthorityDocument, WholeAuthorityDocument } from '../../domain/resources/authority.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { WholeTokenDocument } from '../../domain/resources/token.ts';
import { documentOfUser, type WholeUserDocument } from '../../domain/resources/user.ts';
import { otpSeedSecret, passwordHashSecret } from '../../domain/user-fact.ts';
import type { Recorded } from '../../log/event.ts';
import { base32 } from '../../pki/otp.ts';
import { valuesOf } from '../../views/table.ts';
import { createdTokens } from '../../views/tokens.ts';
import { unreadableOf } from '../../views/unreadable.ts';
import type { UserEntry } from '../../views/users.ts';
import { timeForToken } from '../deciding-time-of.ts';
import type { AuthDeps } from '../deps.ts';
import { userNow } from '../user/user-now.ts';
import { byName } from './known-documents.ts';
import { servedKind } from './served-kinds.ts';

/**
 * All of a kind, as a file restores them: with what is secret, and without revisions. Views are fresh.
 * @throws CodedError `bad_request` for a kind that no file restores, and during a rotation; `unavailable` for
 *   what is not on the log, or a newer release wrote.
 */
export async function wholeDocuments(
  deps: AuthDeps,
  call: Call,
  name: string,
): Promise<readonly ResourceDocument[]> {
  const served = servedKind(name);
  const { kind, notBootstrapped } = served.kind;
  if (notBootstrapped !== undefined)
    throw new CodedError(
      'bad_request',
      `resources of kind ${JSON.stringify(kind)} are not exported: ${notBootstrapped}`,
    );
  requireReadable(deps, kind);
  switch (kind) {
    case 'user':
      return wholeUsers(deps, call);
    case 'token':
      return wholeTokens(deps);
    case 'cert_authority':
      return Promise.all(
        (await served.list(deps, call)).map((one) => wholeAuthority(deps, one as AuthorityDocument)),
      );
    default:
      return byName(await served.list(deps, call));
  }
}

/** Elsewhere it counts as missing, and is reported; from a file nobody would see that a lock is lost. */
function requireReadable({ views }: Pick<AuthDeps, 'views'>, kind: string): void {
  if (unreadableOf(views).some((one) => one.kind === kind))
    throw new CodedError(
      'unavailable',
      `a newer release wrote ${kind}s that this auth server cannot read: export with that release`,
    );
}

async function wholeUsers(deps: AuthDeps, call: Call): Promise<readonly ResourceDocument[]> {
  const documents: ResourceDocument[] = [];
  for (const entry of valuesOf(deps.views.users.state().known)) {
    if (call.deadline.isOver())
      throw new CodedError('unavailable', 'the users could not be exported in time');
    documents.push(await wholeUser(deps, entry));
  }
  return byName(documents);
}

async function wholeUser(deps: AuthDeps, entry: UserEntry): Promise<WholeUserDocument> {
  const { state, createdAt, life, passwordIn, otpIn } = entry;
  const { username, roles, traits, passwordId } = state;
  // A code that was used here must not be used again where this is restored.
  const { otp } = userNow(deps, entry);
  const document = documentOfUser({ username, roles, traits, createdAt });
  return {
    ...document,
    spec: {
      ...document.spec,
      status: undefined,
      local_auth: {
        ...(passwordId !== null && {
          password_hash: (await opened(deps, passwordIn, passwordHashSecret)).toString('base64'),
          password_id: passwordId,
        }),
        ...(otp !== null && {
          totp_key: base32(await opened(deps, otpIn, otpSeedSecret)),
          totp_id: otp.id,
          totp_last_step: otp.lastStep,
        }),
      },
      life: { id: life.id, is_first: life.isFirst },
    },
  };
}

async function opened(deps: AuthDeps, sealedIn: Recorded | null | undefined, name: string): Promise<Buffer> {
  if (sealedIn) return Buffer.from(await deps.log.state.unseal(sealedIn, name));
  throw new CodedError('unavailable', `the secret ${name} is not on the log`);
}

/** Those that were created; tokens of the configuration files come from there. */
function wholeTokens(deps: AuthDeps): readonly WholeTokenDocument[] {
  return createdTokens(deps.views.tokens.state()).flatMap(([hash, token]) => {
    const time = timeForToken(deps, hash, token);
    const { roles, names, uses, used } = token;
    const left = uses === null ? null : uses - used;
    if (isExpired(token, time) || (left !== null && left <= 0)) return [];
    return [
      {
        kind: 'token',
        version: 'v2',
        metadata: { name: tokenIdOf(hash), expires: expiryOf(token, time) },
        spec: {
          roles: [...roles],
          hash,
          ...(left !== null && { uses: left }),
          ...(names !== undefined && { names: [...names] }),
        },
      },
    ];
  });
}

async function wholeAuthority(
  deps: AuthDeps,
  { spec, ...document }: AuthorityDocument,
): Promise<WholeAuthorityDocument> {
  const type: AuthorityType = spec.type;
  const { state, sealedIn } = deps.views.authorities.state()[type];
  const [key] = state.status === 'created' ? state.keys : [];
  if (state.status !== 'created' || key === undefined)
    throw new CodedError('unavailable', `the ${type} authority is not on the log`);
  const { rotation } = state;
  // Releases before rotations could make an authority with several.
  if (rotation.phase !== 'standby' || state.keys.length > 1)
    throw new CodedError(
      'bad_request',
      `the ${type} authority has more than one key (phase ${rotation.phase}): a file restores one; end its rotation, or rotate it, ` +
        'first; or copy the log ("tctl log export --with-secrets")',
    );
  const [pair] = spec.tls_key_pairs;
  const secret = async (name: string): Promise<string> =>
    (await opened(deps, sealedIn[key.keyId], name)).toString('base64');
  return {
    ...document,
    spec: {
      ...spec,
      signing_keys: [await secret(sshSecretName(key.keyId))],
      tls_key_pairs: [{ cert: pair?.cert ?? '', key: await secret(tlsSecretName(key.keyId)) }],
      rotation: {
        state: 'standby',
        phase: 'standby',
        ...(rotation.lastRotatedAt !== null && { last_rotated: rotation.lastRotatedAt }),
        ...(rotation.lastRotationId !== null && { last_id: rotation.lastRotationId }),
      },
      key: { id: key.keyId, since: key.activeFrom },
      announcements: state.announcements,
      ...(state.announcement !== undefined && { announcement: state.announcement }),
    },
  };
}
