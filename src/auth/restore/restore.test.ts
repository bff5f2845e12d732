import { afterEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { exportPhrase } from '../../api/operations/authority-keys.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { kindsOfResources } from '../../domain/resources/registry.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { entriesOf } from '../../views/table.ts';
import type { AuthViews } from '../auth-views.ts';
import { rotateAuthorities } from '../authority/rotate-authorities.ts';
import { createLock } from '../lock/create-lock.ts';
import { createResource } from '../resource/create-resource.ts';
import { deleteResource } from '../resource/delete-resource.ts';
import { exportResources } from '../resource/export-resources.ts';
import { readResource } from '../resource/read-resource.ts';
import { addUser, adminCall, codeFor, eventsOf, openTestAuth, type TestAuth, tryLogin } from '../testing.ts';
import { createToken } from '../token/create-token.ts';
import { failingAfter, fileOf, from } from './restore-testing.ts';

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

async function everything({ deps }: TestAuth): Promise<ResourceDocument[]> {
  const all: ResourceDocument[] = [];
  for (const { kind, notBootstrapped } of kindsOfResources)
    if (notBootstrapped === undefined)
      all.push(
        ...(await exportResources(deps, adminCall, { kind, confirmation: exportPhrase('example') }))
          .documents,
      );
  // As a file has it: without what is undefined.
  return JSON.parse(JSON.stringify(all)) as ResourceDocument[];
}

/** A cluster with something of each kind. */
async function full(): Promise<{ readonly auth: TestAuth; readonly otpUrl: string }> {
  const auth = await opened();
  const { deps } = auth;
  const role = {
    kind: 'role',
    version: 'v3',
    metadata: { name: 'dba', labels: { team: 'db' } },
    spec: { allow: { logins: ['postgres'], rules: [{ resources: ['user'], verbs: ['list'] }] } },
  };
  await createResource(deps, adminCall, { document: role, dryRun: false });
  await deleteResource(deps, adminCall, { kind: 'role', name: 'auditor', dryRun: false });
  const otpUrl = await addUser(auth, 'ann', 'secret-of-ann', ['dba', 'access']);
  const bare = { kind: 'user', version: 'v2', metadata: { name: 'bob' }, spec: { roles: ['dba'] } };
  await createResource(deps, adminCall, { document: bare, dryRun: false });
  await createToken(deps, adminCall, { roles: ['Node'], ttlSeconds: 3600, uses: 3, names: ['web-*'] });
  await createLock(deps, adminCall, { kind: 'user', target: 'mallory', message: 'no', ttlSeconds: 7200 });
  await createLock(deps, adminCall, { kind: 'login', target: 'root', message: '' });
  return { auth, otpUrl };
}

const sorted = <T extends readonly [string, unknown]>(entries: readonly T[]): readonly T[] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

/** What the folds know, apart from when and by whom it was written. */
function folded({ users, roles, locks, tokens, authorities, cluster }: AuthViews): object {
  return {
    users: sorted(entriesOf(users.state().known)).map(([, { state, life }]) => ({
      ...state,
      ...{ knownSources: [], invite: null, life, attempts: '' },
    })),
    roles: sorted(entriesOf(roles.state().known)),
    locks: sorted(entriesOf(locks.state().known)).map(([, lock]) => ({ ...lock, createdAt: '', by: '' })),
    tokens: entriesOf(tokens.state().byHash).map(([hash, token]) => [
      hash,
      { ...token, bornMs: 0, ttlMs: 0 },
    ]),
    authorities: Object.values(authorities.state()).map(({ state }) => state),
    cluster: cluster.state(),
  };
}

describe('everything of a full cluster, restored on an empty store', () => {
  it('folds to the same', async () => {
    const { auth } = await full();
    const documents = await everything(auth);
    const restored = await opened({
      world: auth.world,
      log: memoryLog({ world: auth.world }),
      ...from(documents),
    });
    expect(folded(restored.deps.views)).toEqual(folded(auth.deps.views));
    expect(await everything(restored)).toEqual(
      documents.map((one) =>
        one.kind === 'user' || one.kind === 'lock' ? { ...one, spec: expect.anything() as unknown } : one,
      ),
    );
  });

  it('lets people log in as before, and takes no code twice', async () => {
    const { auth, otpUrl } = await full();
    const otp = codeFor(otpUrl, auth.world.now());
    const attempt = { username: 'ann', password: 'secret-of-ann', otp };
    await tryLogin(auth, attempt);
    const { world } = auth;
    const restored = await opened({ world, log: memoryLog({ world }), ...from(await everything(auth)) });
    await expect(tryLogin(restored, attempt)).rejects.toMatchObject({ code: 'access_denied' });
    world.advance(60_000);
    const next = { ...attempt, otp: codeFor(otpUrl, world.now()) };
    expect((await tryLogin(restored, next)).sshCertificate).toContain('ssh-ed25519-cert');
    await expect(tryLogin(restored, { ...next, password: 'another' })).rejects.toMatchObject({
      code: 'access_denied',
    });
  });

  it('makes no role again that was deleted, at later starts either', async () => {
    const { auth } = await full();
    const { world } = auth;
    const log = memoryLog({ world });
    await (await openTestAuth({ world, log, ...from(await everything(auth)) })).close();
    const { deps } = await opened({ world, log });
    await expect(readResource(deps, adminCall, { kind: 'role', name: 'auditor' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('keeps what is secret sealed on the log, and off the audit', async () => {
    const { auth } = await full();
    const documents = await everything(auth);
    const restored = await opened({
      world: auth.world,
      log: memoryLog({ world: auth.world }),
      ...from(documents),
    });
    const ann = documents.find(({ metadata }) => metadata.name === 'ann') as {
      spec: { local_auth: { password_hash: string; totp_key: string } };
    } & ResourceDocument;
    const { password_hash: hash, totp_key: seed } = ann.spec.local_auth;
    const stored = JSON.stringify(await eventsOf(restored.log, 'state'));
    for (const secret of [hash, Buffer.from(hash, 'base64').toString(), seed, 'PRIVATE KEY'])
      expect(stored).not.toContain(secret);
    const told = JSON.stringify(await eventsOf(auth.log, 'audit'));
    expect(told).toContain('"resource.export"');
    expect(told).toContain('"cert_authority.export"');
    expect(told).not.toContain(hash);
  });
});

describe('a store that is restored', () => {
  it('has more than one append takes, and is whole however often the start ends in between', async () => {
    const world = fakeWorld();
    const many = Array.from({ length: 700 }, (_, i) => ({
      kind: 'user',
      version: 'v2',
      metadata: { name: `u${i}` },
      spec: { roles: ['access'], traits: { logins: [`u${i}`] } },
    }));
    const log = memoryLog({ world });
    for (let allowed = 1; ; allowed++) {
      const start = openTestAuth({ world, log: failingAfter(log, allowed), ...from(many) });
      const ended = await start.then(
        (auth) => auth.close().then(() => 'served'),
        () => 'failed',
      );
      if (ended === 'served') break;
      await expect(openTestAuth({ world, log })).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(/being restored from a file \(sha256:1\)/) as string,
      });
      await expect(
        openTestAuth({ world, log, bootstrap: () => Promise.resolve(fileOf(many, 'sha256:2')) }),
      ).rejects.toMatchObject({ code: 'misconfigured' });
      expect(allowed).toBeLessThan(12);
    }
    const types = (await eventsOf(log, 'state')).map(({ fact }) => fact.type);
    expect(types.filter((type) => type === 'user.created')).toHaveLength(700);
    expect(types.filter((type) => type === 'cluster.created')).toHaveLength(1);
  });

  it('by two auth servers at once is one cluster', async () => {
    const { auth } = await full();
    const documents = await everything(auth);
    const { world } = auth;
    const log = memoryLog({ world });
    const both = await Promise.all([1, 2].map(() => openTestAuth({ world, log, ...from(documents) })));
    for (const one of both) {
      expect(folded(one.deps.views)).toEqual(folded(auth.deps.views));
      await one.close();
    }
  });

  it('that has a cluster is left as it is, and the file is not even read', async () => {
    const first = await opened();
    await first.close();
    const before = await first.log.state.head();
    const again = await openTestAuth({
      log: first.log,
      world: first.world,
      bootstrap: () => Promise.reject(new Error('was read')),
    });
    expect(await first.log.state.head()).toBe(before);
    expect(again.sink.lines).toContainEqual(expect.stringMatching(/the file of --bootstrap was not used/));
    await again.close();
  });
});

describe('a file with a fault', () => {
  const refusedAt = async (
    change: (documents: ResourceDocument[]) => ResourceDocument[],
    place: RegExp,
    options: Parameters<typeof openTestAuth>[0] = {},
  ): Promise<void> => {
    const { auth } = await full();
    const { world } = auth;
    const log = memoryLog({ world });
    const documents = change(await everything(auth));
    await expect(openTestAuth({ world, log, ...from(documents), ...options })).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(place) as string,
    });
    expect(await log.state.head()).toBe(0);
  };
  const withSpec =
    (kind: string, change: (spec: Record<string, unknown>) => object) =>
    (documents: ResourceDocument[]): ResourceDocument[] =>
      documents.map((one) =>
        one.kind === kind ? { ...one, spec: change(one.spec as Record<string, unknown>) } : one,
      );

  it.each<[string, (documents: ResourceDocument[]) => ResourceDocument[], RegExp]>([
    [
      'a role that nothing makes',
      withSpec('user', (spec) => ({ ...spec, roles: ['gone'] })),
      /all\.yaml:spec\.roles: .*"gone" is not in the file/,
    ],
    ['a resource twice', (all) => [...all, ...all.slice(0, 1)], /all\.yaml:metadata\.name: .*twice/],
    [
      'one authority',
      (all) => all.filter(({ sub_kind }) => sub_kind !== 'host'),
      /all\.yaml:sub_kind: .*both authorities/,
    ],
    [
      'keys of two authorities',
      (all) => {
        const keys = all
          .filter(({ kind }) => kind === 'cert_authority')
          .map(({ spec }) => (spec as { signing_keys: string[] }).signing_keys);
        let i = 0;
        return withSpec('cert_authority', (spec) => ({ ...spec, signing_keys: keys[++i % 2] }))(all);
      },
      /all\.yaml:spec\.signing_keys: /,
    ],
    [
      'a weaker second factor',
      withSpec('cluster_auth_preference', (spec) => ({ ...spec, second_factor: 'off' })),
      /all\.yaml:spec\.second_factor: .*is "off".*"otp", which decides/,
    ],
    [
      'a hash that nothing checks',
      withSpec('user', (spec) => ({ ...spec, local_auth: { password_hash: 'JDJhJDEw' } })),
      /all\.yaml:spec\.local_auth\.password_hash: .*argon2id/,
    ],
  ])('(%s) is refused at its place, and nothing is written', async (_name, change, place) => {
    await refusedAt(change, place);
  });

  it('(the name of another cluster) is refused unless the configuration has none', async () => {
    await refusedAt((all) => all, /all\.yaml:spec\.cluster_name: .*is "example"/, { clusterName: 'other' });
    const { auth } = await full();
    const { world } = auth;
    const { deps } = await opened({
      ...{ world, log: memoryLog({ world }), clusterName: 'machine-7', nameIsDefault: true },
      ...from(await everything(auth)),
    });
    expect(deps.views.cluster.state()).toMatchObject({ clusterName: 'example' });
  });
});

const rotate = ({ deps }: TestAuth, gracePeriodMs: number) =>
  rotateAuthorities(deps, adminCall, {
    ...{ types: ['user', 'host'], phase: 'init', mode: 'manual', gracePeriodMs },
    ...{ force: true, dryRun: false, endSessions: false },
  });

describe('an authority that was rotated', () => {
  it('is restored with the announcement of its keys; the keys before are not', async () => {
    const { auth } = await full();
    await rotate(auth, 0);
    const { world } = auth;
    const restored = await opened({ world, log: memoryLog({ world }), ...from(await everything(auth)) });
    const stateOf = ({ deps }: TestAuth) => deps.views.authorities.state().host.state;
    expect(stateOf(auth)).toMatchObject({ announcements: 1, retired: [{ why: 'replaced' }] });
    expect(stateOf(restored)).toEqual({ ...stateOf(auth), retired: [] });
  });
  it('is not exported while that goes on', async () => {
    const { auth } = await full();
    await rotate(auth, 3_600_000);
    await expect(everything(auth)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(/^the host authority has more than one key \(phase init\)/) as string,
    });
  });
});

describe('an export', () => {
  it('takes the phrase word for word', async () => {
    const { deps } = await opened();
    for (const confirmation of ['', exportPhrase('other')])
      await expect(exportResources(deps, adminCall, { kind: 'user', confirmation })).rejects.toMatchObject({
        code: 'bad_request',
        message: expect.stringMatching(/^nothing was exported/) as string,
      });
  });
});
