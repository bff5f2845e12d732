import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import { type AuthorityType, sshSecretName, tlsSecretName } from '../../domain/authority-facts.ts';
import type { EventLog } from '../../log/event-log.ts';
import { signerOf, trustedOf } from '../../views/authorities.ts';
import type { AuthViews } from '../auth-views.ts';

/** The private halves of one key of an authority. */
export interface Signer {
  readonly ssh: KeyObject;
  readonly tls: KeyObject;
  readonly tlsCertificatePem: string;
}

/** Opens sealed keys when they are first needed, and forgets those that are withdrawn. */
export interface KeyChest {
  /**
   * The signer for the key that signs now.
   * @throws CodedError `unavailable` when there is none, or it cannot be opened.
   */
  signer(type: AuthorityType): Promise<Signer>;
  /**
   * The signer for any key that is trusted now.
   * @throws CodedError `unavailable` when it is not trusted, or cannot be opened.
   */
  signerOfKey(type: AuthorityType, keyId: string): Promise<Signer>;
}

export function keyChest(log: EventLog, views: Pick<AuthViews, 'authorities'>): KeyChest {
  const opened = new Map<string, Promise<Signer>>();
  const open = async (type: AuthorityType, keyId: string): Promise<Signer> => {
    const state = views.authorities.state();
    const key = trustedOf(state, type).find((one) => one.keyId === keyId);
    const sealedIn = state[type].sealedIn[keyId];
    if (key === undefined || sealedIn === undefined)
      throw new CodedError('unavailable', `the private key of the ${type} authority is not on the log`);
    const secret = async (name: string): Promise<KeyObject> =>
      createPrivateKey(Buffer.from(await log.unseal(sealedIn, name)));
    return {
      ssh: await secret(sshSecretName(keyId)),
      tls: await secret(tlsSecretName(keyId)),
      tlsCertificatePem: key.tlsCertificatePem,
    };
  };
  const forgetWithdrawn = (): void => {
    const state = views.authorities.state();
    const trusted = new Set(
      (['user', 'host'] as const).flatMap((type) => trustedOf(state, type).map(({ keyId }) => keyId)),
    );
    for (const keyId of opened.keys()) if (!trusted.has(keyId)) opened.delete(keyId);
  };
  const signerOfKey = (type: AuthorityType, keyId: string): Promise<Signer> => {
    forgetWithdrawn();
    const known = opened.get(keyId);
    if (known !== undefined) return known;
    const signer = open(type, keyId);
    opened.set(keyId, signer);
    signer.catch(() => opened.delete(keyId));
    return signer;
  };
  return {
    signerOfKey,
    signer: async (type) => signerOfKey(type, signerOf(views.authorities.state(), type).key.keyId),
  };
}
