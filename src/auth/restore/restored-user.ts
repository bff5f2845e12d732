import type { World } from '../../base/world.ts';
import type { RestoreUser } from '../../domain/user-change.ts';
import { userOfDocument, type WholeUserDocument } from '../../domain/resources/user.ts';
import { fromBase32 } from '../../pki/otp.ts';
import { isPasswordHash } from '../../pki/password.ts';
import type { Fault } from './restored-documents.ts';

/** The user of a document, with what it logs in by. @throws CodedError `misconfigured` */
export function restoredUser(document: WholeUserDocument, world: World, fault: Fault): RestoreUser {
  const { life, local_auth: proof = {} } = document.spec;
  const { password_hash: hash, totp_key: seed } = proof;
  return {
    type: 'restore-user',
    ...userOfDocument(document),
    ...(life !== undefined && { life: { id: life.id, isFirst: life.is_first } }),
    ...(hash !== undefined && {
      password: { id: proof.password_id ?? world.uuid(), hash: passwordHash(hash, fault) },
    }),
    ...(seed !== undefined && {
      otp: {
        id: proof.totp_id ?? world.uuid(),
        seed: fromBase32(seed),
        usedStep: proof.totp_last_step ?? 0,
      },
    }),
  };
}

function passwordHash(encoded: string, fault: Fault): Uint8Array {
  const hash = Buffer.from(encoded, 'base64');
  if (isPasswordHash(hash.toString('utf8'))) return hash;
  throw fault(
    ['spec', 'local_auth', 'password_hash'],
    'is not one of argon2id, which this release makes; without local_auth, "tctl users reset" lets them set a password',
  );
}
