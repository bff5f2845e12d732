import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { memoryKeyring } from '../log/keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from '../log/memory-driver.ts';
import { openLog } from '../log/open-log.ts';
import { acceptInvite } from './invite/accept-invite.ts';
import { createToken } from './token/create-token.ts';
import { createUser } from './user/create-user.ts';
import { deleteToken } from './token/delete-token.ts';
import { deleteUser } from './user/delete-user.ts';
import { emitAudit } from './audit/emit-audit.ts';
import { joinHost } from './host/join-host.ts';
import { logIn } from './user/log-in.ts';
import { resetUser } from './user/reset-user.ts';
import {
  addUser,
  adminCall,
  callOf,
  codeFor,
  hostCall,
  newKeyLine,
  openLink,
  openTestAuth,
  type TestAuth,
} from './testing.ts';
import { parsedAuditEvent } from '../domain/audit-event.ts';

let auth: TestAuth;
let store: MemoryStore;
beforeEach(async () => {
  store = memoryStore();
  const world = fakeWorld();
  const log = await openLog({
    driver: memoryDriver(store),
    keyring: memoryKeyring(world),
    world,
    writer: 'auth-1',
    sink: silentLog,
  });
  auth = await openTestAuth({ log, world });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

/** The same call, whose caller has given up by the time anything would be appended. */
const tooLate = (call: Call): Call => ({
  ...call,
  deadline: {
    begin: () => {
      throw new CodedError('unavailable', 'too late');
    },
    isOver: () => false,
  },
});

const proxy = hostCall('Proxy');
const anyone = callOf({ kind: 'anyone', address: '192.0.2.1:1' });

/** Each operation that changes something, ready to be called. */
const operations: Record<string, () => Promise<(call: (call: Call) => Call) => Promise<unknown>>> = {
  'a login': async () => {
    const url = await addUser(auth, 'alice', 'correct horse');
    return (by) =>
      logIn(auth.deps, by(proxy), {
        username: 'alice',
        password: 'correct horse',
        otp: codeFor(url, auth.world.now()),
        clientAddress: '192.0.2.1:999',
        publicKey: newKeyLine(),
        ttlSeconds: 3600,
        format: 'standard',
        routeToCluster: '',
      });
  },
  'a join': async () => {
    const { token } = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, uses: 1 });
    const publicKey = newKeyLine();
    return (by) =>
      joinHost(auth.deps, by(anyone), {
        hostId: '00000000-0000-4000-8000-000000000001',
        nodename: 'n1',
        role: 'Node',
        token,
        publicKey,
        additionalPrincipals: [],
        sentAt: auth.world.now(),
      });
  },
  'accepting an invite': async () => {
    const { inviteToken: token } = await createUser(auth.deps, adminCall, {
      username: 'alice',
      roles: ['admin'],
      traits: {},
      inviteTtlSeconds: 3600,
    });
    const { otpUrl } = await openLink(auth.deps, token);
    const otp = codeFor(otpUrl, auth.world.now());
    return (by) =>
      acceptInvite(auth.deps, by(proxy), {
        token,
        password: 'correct horse',
        otp,
        clientAddress: '192.0.2.7:1',
      });
  },
  'creating a user': () =>
    Promise.resolve((by) =>
      createUser(auth.deps, by(adminCall), {
        username: 'alice',
        roles: ['admin'],
        traits: {},
        inviteTtlSeconds: 3600,
      }),
    ),
  'resetting a user': async () => {
    await addUser(auth, 'alice', 'correct horse');
    return (by) => resetUser(auth.deps, by(adminCall), { username: 'alice', resetTtlSeconds: 3600 });
  },
  'deleting a user': async () => {
    await addUser(auth, 'alice', 'correct horse');
    return (by) => deleteUser(auth.deps, by(adminCall), { username: 'alice' });
  },
  'making a token': () =>
    Promise.resolve((by) =>
      createToken(auth.deps, by(adminCall), {
        roles: ['Node'],
        ttlSeconds: 1800,
        value: 'a-token-of-mine-01',
      }),
    ),
  'deleting a token': async () => {
    const { token } = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800 });
    return (by) => deleteToken(auth.deps, by(adminCall), { token });
  },
  'telling the audit': () =>
    Promise.resolve((by) =>
      emitAudit(auth.deps, by(hostCall('Node')), {
        events: [
          parsedAuditEvent.parse({
            event: 'exec',
            code: 'T3002I',
            uid: auth.world.uuid(),
            time: auth.world.now(),
            login: 'root',
          }),
        ],
      }),
    ),
};

describe('too late for its caller', () => {
  it.each(Object.entries(operations))('%s is refused, and nothing is spent', async (_name, ready) => {
    const act = await ready();
    await auth.deps.afterwards.done();
    const heads = await Promise.all([auth.log.state.head(), auth.log.audit.head()]);
    const keys = store.vault.size;
    await expect(act(tooLate)).rejects.toMatchObject({ code: 'unavailable', message: 'too late' });
    expect(await Promise.all([auth.log.state.head(), auth.log.audit.head()])).toEqual(heads);
    expect(store.vault.size).toBe(keys);
    await act((call) => call);
  });
});
