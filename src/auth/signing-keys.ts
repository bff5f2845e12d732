import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { type AuthorityType, sshSecretName, tlsSecretName } from '../domain/authority.ts';
import type { EventLog } from '../log/event-log.ts';
import { signerOf } from '../views/authorities.ts';
import type { AuthViews } from './auth-views.ts';

/** What signs: the active key of one authority. */
export interface Signer {
  readonly ssh: KeyObject;
  readonly tls: KeyObject;
  readonly tlsCertificatePem: string;
}

/** Opens the sealed keys when they are first needed, and again when another one is active. */
export interface KeyChest {
  /** @throws CodedError `unavailable` when there is no key that signs, or it cannot be opened. */
  signer(type: AuthorityType): Promise<Signer>;
}

export function keyChest(log: EventLog, views: Pick<AuthViews, 'authorities'>): KeyChest {
  const opened = new Map<AuthorityType, { readonly keyId: string; readonly signer: Promise<Signer> }>();
  const open = async (type: AuthorityType): Promise<Signer> => {
    const { key, sealedIn } = signerOf(views.authorities.state(), type);
    if (!sealedIn)
      throw new CodedError('unavailable', `the private key of the ${type} authority is not on the log`);
    const secret = async (name: string): Promise<KeyObject> =>
      createPrivateKey(Buffer.from(await log.unseal(sealedIn, name)));
    return {
      ssh: await secret(sshSecretName(key.keyId)),
      tls: await secret(tlsSecretName(key.keyId)),
      tlsCertificatePem: key.tlsCertificatePem,
    };
  };
  return {
    signer: (type) => {
      const { keyId } = signerOf(views.authorities.state(), type).key;
      const known = opened.get(type);
      if (known?.keyId === keyId) return known.signer;
      const signer = open(type);
      opened.set(type, { keyId, signer });
      signer.catch(() => opened.delete(type));
      return signer;
    },
  };
}
