import { afterEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { exportPhrase } from '../../api/operations/authority-keys.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { exportResources } from '../resource/export-resources.ts';
import { adminCall, eventsOf, openTestAuth, type TestAuth } from '../testing.ts';
import { lockStream, roleStream, tokenStream, userStream } from '../../domain/streams.ts';
import { failingAfter, from } from './restore-testing.ts';

const open: TestAuth[] = [];
afterEach(async () => {
  for (const auth of open.splice(0)) {
    await auth.close();
    await auth.log.close();
  }
});
const opened = async (options: Parameters<typeof openTestAuth>[0] = {}): Promise<TestAuth> => {
  const auth = await openTestAuth(options);
  open.push(auth);
  return auth;
};
const exported = async ({ deps }: TestAuth, kind: string): Promise<readonly ResourceDocument[]> =>
  (await exportResources(deps, adminCall, { kind, confirmation: exportPhrase('example') })).documents;

describe('an authority with', () => {
  const none = Buffer.from('ssh-ed25519').toString('base64');
  interface Keys {
    readonly checking_keys: readonly string[];
    readonly tls_key_pairs: readonly object[];
  }
  it.each<[string, (spec: Keys) => Partial<Keys>, RegExp]>([
    ['a line that is no key', () => ({ checking_keys: [none] }), /^all\.yaml:spec\.signing_keys: /],
    [
      'a certificate that is none',
      (spec) => ({ tls_key_pairs: spec.tls_key_pairs.map((pair) => ({ ...pair, cert: none })) }),
      /^all\.yaml:spec\.tls_key_pairs: /,
    ],
  ])('%s is refused at its place', async (_name, change, place) => {
    const auth = await opened();
    const documents = (await exported(auth, 'cert_authority')).map((one) => ({
      ...one,
      spec: { ...(one.spec as Keys), ...change(one.spec as Keys) },
    }));
    const { world } = auth;
    await expect(
      openTestAuth({ world, log: memoryLog({ world }), ...from(documents) }),
    ).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringMatching(place) as string });
  });
});

it('a lock that a hand gave a name is made once, also by a start that continues', async () => {
  const world = fakeWorld();
  const log = memoryLog({ world });
  const target = { user: 'mallory' };
  const documents = [{ kind: 'lock', version: 'v2', metadata: { name: 'mallory' }, spec: { target } }];
  // It begins, and writes the lock; the cluster is missing.
  await expect(openTestAuth({ world, log: failingAfter(log, 2), ...from(documents) })).rejects.toThrow(
    'the process ended',
  );
  const auth = await opened({ world, log, ...from(documents) });
  const types = (await eventsOf(log, 'state')).map(({ fact }) => fact.type);
  expect(types.filter((type) => type === 'lock.created')).toHaveLength(1);
  expect(await exported(auth, 'lock')).toMatchObject([{ spec: { target } }]);
});

it.each([
  ['role', roleStream('x'), 'role.created'],
  ['user', userStream('x'), 'user.created'],
  ['token', tokenStream('x'), 'token.created'],
  ['lock', lockStream('x'), 'lock.created'],
])('a %s of a newer release is not left out of a file of everything', async (kind, stream, type) => {
  const auth = await opened();
  const fact = { type, data: { as: 'a newer release has it' } };
  const cause = { at: auth.world.now(), actor: 'admin', requestId: 'r' };
  await auth.deps.log.state.append([{ stream, expected: 0, facts: [fact] }], cause);
  await expect(exported(auth, kind)).rejects.toMatchObject({
    code: 'unavailable',
    message: `a newer release wrote ${kind}s that this auth server cannot read: export with that release`,
  });
});
