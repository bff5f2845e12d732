import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Call } from '../../api/server-deps.ts';
import { adminRole } from '../../domain/preset-roles.ts';
import { documentOfRole } from '../../domain/resources/role.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import {
  addUser,
  adminCall,
  announceAuth,
  openTestAuth,
  type TestAuth,
  tryLogin,
  userCall,
} from '../testing.ts';
import { factsLevel } from '../../domain/critical.ts';
import { tokenHash } from '../../pki/token.ts';
import { createToken } from '../token/create-token.ts';
import { deleteToken } from '../token/delete-token.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { listResources } from './list-resources.ts';
import { readResource } from './read-resource.ts';
import { readResourceHistory } from './read-resource-history.ts';
import { updateResource } from './update-resource.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(() => auth.close());

const hour = 3_600_000;
const dba = (login: string) =>
  documentOfRole({ ...adminRole, name: 'dba', allow: { ...adminRole.allow, logins: [login] } });
const loginsIn = ({ spec }: { readonly spec: unknown }): unknown =>
  (spec as { readonly allow: { readonly logins: unknown } }).allow.logins;
const by = (requestId: string, call: Call = adminCall): Call => ({ ...call, requestId });

/** A role that is created, changed and deleted, an hour apart; returns the time of each. */
async function threeVersions(): Promise<readonly string[]> {
  const { deps, world } = auth;
  const times: string[] = [];
  const next = async (act: () => Promise<unknown>): Promise<void> => {
    world.advance(hour);
    times.push(world.now());
    await act();
  };
  await next(() => createResource(deps, by('r1'), { document: dba('web'), dryRun: false }));
  await next(() => updateResource(deps, by('r2'), { document: dba('root'), dryRun: false }));
  await next(() => deleteResource(deps, by('r3'), { kind: 'role', name: 'dba', dryRun: false }));
  world.advance(hour);
  return times;
}
const historyOf = (kind: string, name: string, limit = 100, call: Call = adminCall) =>
  readResourceHistory(auth.deps, call, { kind, name, limit });

/** A person with a role of these rules. */
const personWith = (where: string): Call => ({
  ...userCall('ann', ['reader']),
  rules: {
    username: 'ann',
    traits: {},
    roles: [
      {
        ...adminRole,
        name: 'reader',
        rules: {
          allow: [{ resources: ['role', 'user'], verbs: ['list', 'readnosecrets'], where }],
          deny: [],
        },
      } satisfies RoleSpec,
    ],
  },
});

describe('the history of a resource', () => {
  it('has each version with its time, its actor and its request, also of one that was deleted', async () => {
    const times = await threeVersions();
    const { versions, truncated } = await historyOf('role', 'dba');
    expect(truncated).toBe(false);
    expect(versions.map(({ status, at, actor, requestId }) => [status, at, actor, requestId])).toEqual([
      ['created', times[0], 'admin', 'r1'],
      ['updated', times[1], 'admin', 'r2'],
      ['deleted', times[2], 'admin', 'r3'],
    ]);
    expect(versions.map(({ document }) => document && loginsIn(document))).toEqual([
      ['web'],
      ['root'],
      undefined,
    ]);
  });

  it('keeps the newest within the limit, and says that there were older ones', async () => {
    await threeVersions();
    const { versions, truncated } = await historyOf('role', 'dba', 2);
    expect(versions.map(({ status }) => status)).toEqual(['updated', 'deleted']);
    expect(truncated).toBe(true);
  });

  it('of a user leaves out logins, refused ones too, and takes the facts of one request as one version', async () => {
    await addUser(auth, 'bob', 'correct horse battery');
    await tryLogin(auth, { username: 'bob', password: 'wrong' }).catch(() => undefined);
    const { document } = await readResource(auth.deps, adminCall, { kind: 'user', name: 'bob' });
    const changed = { ...document, spec: { roles: ['access'], traits: { logins: ['b'] } } };
    await updateResource(auth.deps, by('both'), { document: changed, dryRun: false });
    const { versions } = await historyOf('user', 'bob');
    expect(versions.map(({ status }) => status)).toEqual(['created', 'updated']);
    expect(versions[1]).toMatchObject({
      requestId: 'both',
      document: { spec: { roles: ['access'], traits: { logins: ['b'] } } },
    });
  });

  it('is not found where there never was one, and for who may not read it', async () => {
    await threeVersions();
    await expect(historyOf('role', 'none')).rejects.toMatchObject({ code: 'not_found' });
    const others = personWith('equals(resource.metadata.name, "other")');
    await expect(historyOf('role', 'dba', 100, others)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('ends, going back, at what the caller may not read', async () => {
    const { deps } = auth;
    const labelled = (team: string) => ({ ...dba('web'), metadata: { name: 'dba', labels: { team } } });
    await createResource(deps, by('r1'), { document: labelled('a'), dryRun: false });
    await updateResource(deps, by('r2'), { document: labelled('b'), dryRun: false });
    const ofB = personWith('equals(resource.metadata.labels["team"], "b")');
    const { versions, truncated } = await historyOf('role', 'dba', 100, ofB);
    expect(versions.map(({ requestId }) => requestId)).toEqual(['r2']);
    expect(truncated).toBe(true);
  });

  it('is refused for a kind whose past is not kept', async () => {
    await expect(historyOf('cluster_config', 'x')).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('stops when nobody waits for it', async () => {
    await threeVersions();
    const call = { ...adminCall, deadline: { begin: () => undefined, isOver: () => true } };
    await expect(historyOf('role', 'dba', 100, call)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a resource at a time', () => {
  const readAt = (at: string) =>
    readResource(auth.deps, adminCall, { kind: 'role', name: 'dba', at }).then(
      ({ document }) => loginsIn(document),
      (e: unknown) => (e as { readonly code: string }).code,
    );
  const beforeMs = (at: string | undefined): string => new Date(Date.parse(at ?? '') - 1).toISOString();

  it('is what it was after the last event at or before that time', async () => {
    const [created, updated, deleted] = await threeVersions();
    expect(await readAt(beforeMs(created))).toBe('not_found');
    expect(await readAt(created ?? '')).toEqual(['web']);
    expect(await readAt(beforeMs(updated))).toEqual(['web']);
    expect(await readAt(updated ?? '')).toEqual(['root']);
    expect(await readAt(deleted ?? '')).toBe('not_found');
  });

  it('is listed with the others of that time, in a form that can be written back', async () => {
    const [, updated, deleted] = await threeVersions();
    const listedAt = async (at = '') =>
      (await listResources(auth.deps, adminCall, { kind: 'role', at })).documents;
    const dbas = (await listedAt(updated)).filter(({ metadata }) => metadata.name === 'dba');
    expect(dbas.map(loginsIn)).toEqual([['root']]);
    expect(dbas[0]?.metadata).not.toHaveProperty('revision');
    expect((await listedAt(deleted)).map(({ metadata }) => metadata.name)).not.toContain('dba');
    await createResource(auth.deps, adminCall, { document: dbas[0] as never, dryRun: false });
    expect(await readAt(auth.world.now())).toEqual(['root']);
  });

  it('is shown to who may read it as it was', async () => {
    const [created] = await threeVersions();
    const at = created ?? '';
    const others = personWith('equals(resource.metadata.name, "other")');
    expect((await listResources(auth.deps, others, { kind: 'role', at })).documents).toEqual([]);
    await expect(readResource(auth.deps, others, { kind: 'role', name: 'dba', at })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('of a user says whether failed logins had locked it then, where they are kept with the user', async () => {
    await announceAuth(auth, auth.world.uuid(), factsLevel - 1);
    await addUser(auth, 'bob', 'correct horse battery');
    const free = auth.world.now();
    auth.world.advance(1_000);
    for (let i = 0; i < 5; i++)
      await tryLogin(auth, { username: 'bob', password: 'wrong' }).catch(() => undefined);
    const locked = auth.world.now();
    auth.world.advance(hour);
    const statusAt = async (at: string) => {
      const { documents } = await listResources(auth.deps, adminCall, { kind: 'user', at });
      return (documents[0]?.spec as { readonly status: { readonly is_locked: boolean } }).status.is_locked;
    };
    expect(await statusAt(free)).toBe(false);
    expect(await statusAt(locked)).toBe(true);
    expect(await statusAt(auth.world.now())).toBe(false);
  });

  it('that has not come yet is refused', async () => {
    await expect(
      listResources(auth.deps, adminCall, { kind: 'role', at: '2099-01-01T00:00:00.000Z' }),
    ).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('the past of a token', () => {
  const secret = 'a-secret-of-a-token-that-is-long-enough';

  /** A token that is created and deleted, a minute apart; returns its id and the time between. */
  async function oneToken(): Promise<{ readonly id: string; readonly between: string }> {
    const { deps, world } = auth;
    const made = await createToken(deps, by('r1'), {
      roles: ['Node'],
      ttlSeconds: 3600,
      uses: 2,
      value: secret,
    });
    world.advance(60_000);
    const between = world.now();
    world.advance(60_000);
    await deleteToken(deps, by('r2'), { token: made.tokenId });
    world.advance(60_000);
    return { id: made.tokenId, between };
  }

  it('is found by its id, also when it was deleted, and has no secret in it', async () => {
    const { id, between } = await oneToken();
    const { versions } = await historyOf('token', id);
    expect(versions.map(({ status, requestId }) => [status, requestId])).toEqual([
      ['created', 'r1'],
      ['deleted', 'r2'],
    ]);
    expect(versions[0]?.document).toMatchObject({ metadata: { name: id }, spec: { uses: 2, joined: 0 } });
    const listed = await listResources(auth.deps, adminCall, { kind: 'token', at: between });
    expect(listed.documents.map(({ metadata }) => metadata.name)).toEqual([id]);
    const read = await readResource(auth.deps, adminCall, { kind: 'token', name: id, at: between });
    const all = JSON.stringify([versions, listed, read]);
    expect(all).not.toContain(secret);
    expect(all).not.toContain(tokenHash(secret));
    expect(
      (await listResources(auth.deps, adminCall, { kind: 'token', at: auth.world.now() })).documents,
    ).toEqual([]);
  });

  it('has none that had expired by then', async () => {
    const { deps, world } = auth;
    const { tokenId } = await createToken(deps, adminCall, {
      roles: ['Node'],
      ttlSeconds: 60,
      value: secret,
    });
    world.advance(120_000);
    const at = world.now();
    expect((await listResources(deps, adminCall, { kind: 'token', at })).documents).toEqual([]);
    await expect(readResource(deps, adminCall, { kind: 'token', name: tokenId, at })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it.each(['x', '', 'role-', '0123456789abcdef', 'f'.repeat(64)])(
    'of no token is not found: %j',
    async (name) => {
      await oneToken();
      await expect(historyOf('token', name)).rejects.toMatchObject({ code: 'not_found' });
    },
  );
});
