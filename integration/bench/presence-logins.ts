import { isCoded } from '../../src/base/errors.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { acceptInvite } from '../../src/api/operations/invite.ts';
import { createUser, logIn } from '../../src/api/operations/user.ts';
import { pause } from '../../src/base/backoff.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';

/** A login takes the processor for some 50 ms: so they leave most of it to what is measured beside them. */
const betweenMs = 250;
const username = 'bench';
const password = 'correct horse battery';

/** Logs a person in, as a proxy does, again and again. */
export interface Logins {
  /** One after the other with a moment between them, until `over`; milliseconds each took. */
  during(over: () => boolean): Promise<number[]>;
  /** How many got no answer since it was last asked: they are told to try again. */
  failed(): number;
}

export async function prepareLogins(admin: AuthClient, proxy: AuthClient): Promise<Logins> {
  const invite = { username, roles: ['admin'], traits: { logins: ['root'] }, inviteTtlSeconds: 3600 };
  const { inviteToken } = await admin.call(createUser, invite);
  await proxy.call(acceptInvite, { token: inviteToken, password, otp: '', clientAddress: '192.0.2.1:1' });
  const publicKey = toAuthorizedKeyLine(publicKeyOf(generateEd25519()).blob);
  let n = 0;
  let failed = 0;
  const one = async (): Promise<number> => {
    const began = performance.now();
    // From another address each time: one address may try ten times a second.
    const clientAddress = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:1`;
    n++;
    await proxy.call(logIn, { username, password, otp: '', publicKey, ttlSeconds: 3600, clientAddress });
    return performance.now() - began;
  };
  return {
    during: async (over) => {
      const took: number[] = [];
      while (!over()) {
        try {
          took.push(await one());
        } catch (e) {
          if (!isCoded(e, 'unavailable')) throw e;
          failed++;
        }
        await pause(betweenMs);
      }
      return took;
    },
    failed: () => {
      const count = failed;
      failed = 0;
      return count;
    },
  };
}
