import { describe, expect, it } from 'vitest';
import { guard } from '../../api/guard.ts';
import { hour } from '../../base/duration.ts';
import { kindNamed } from '../../domain/resources/registry.ts';
import { signerOfCluster } from '../lookups.ts';
import { eventsOf } from '../testing.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { listResources } from './list-resources.ts';
import { readResource } from './read-resource.ts';
import { updateResource } from './update-resource.ts';
import {
  bench,
  benchOfEachTest,
  create,
  list,
  logins,
  personWith,
  read,
  refusal,
  remove,
  role,
  update,
  user,
  written,
  type Rule,
} from './resources-testing.ts';

benchOfEachTest();

const everything: Rule = { resources: ['role'], verbs: ['*'] };

describe('rules of roles', () => {
  it('are asked of the resource before and after, so that nobody takes one over', async () => {
    const team = 'equals(resource.metadata.labels["team"], "db")';
    const bob = await personWith([{ ...everything, where: team }]);
    const labelled = (name: string, of: string, spec: object = {}) =>
      role(name, spec, { labels: { team: of } });
    await create(labelled('web1', 'web'));
    await expect(create(labelled('x', 'web'), bob)).rejects.toMatchObject({ code: 'access_denied' });
    expect((await create(labelled('db1', 'db'), bob)).status).toBe('created');
    for (const wrong of [labelled('web1', 'db'), labelled('db1', 'web'), role('db1')])
      await expect(update(wrong, bob)).rejects.toMatchObject({ code: 'access_denied' });
    expect((await update(labelled('db1', 'db', logins('a')), bob)).status).toBe('updated');
  });
  it('let a call in whose resource may turn out to be allowed, and no other', async () => {
    const bob = await personWith([{ ...everything, where: 'equals(resource.metadata.labels["a"], "b")' }]);
    const { rules, caller } = bob;
    if (rules === undefined) throw new Error('no rules');
    const inputs = [
      [readResource, { kind: 'role', name: 'x' }],
      [deleteResource, { kind: 'role', name: 'x', dryRun: false }],
      [createResource, written(role('x'))],
      [updateResource, written(role('x'))],
    ] as const;
    for (const [{ operation }, input] of inputs) {
      const admitted = guard(operation, caller, () => rules);
      expect(() => {
        admitted.checkInput(input);
      }).not.toThrow();
      const ofUser = 'document' in input ? written(user('x', ['admin'])) : { ...input, kind: 'user' };
      expect(() => {
        admitted.checkInput(ofUser);
      }).toThrow(/access denied to perform action "\w+" on "user"/);
    }
  });
  it('sift a list, and what may not be read is not found', async () => {
    const bob = await personWith([{ ...everything, where: 'equals(resource.metadata.name, "dba")' }]);
    await create(role('dba'));
    expect(await list('role', bob)).toEqual(['dba']);
    await expect(read('role', 'admin', bob)).rejects.toMatchObject(
      refusal('not_found', /^role "admin" is not found$/),
    );
    await expect(remove('role', 'access', bob)).rejects.toMatchObject({ code: 'not_found' });
    expect((await read('role', 'dba', bob)).metadata.name).toBe('dba');
  });
  it('let nobody change a role of their own who could not give themselves others', async () => {
    const bob = await personWith([everything]);
    const own = await read('role', 'helper', bob);
    const wish = { ...own, spec: { allow: { logins: ['root'] } } };
    await expect(update(wish, bob)).rejects.toMatchObject(
      refusal('access_denied', /^role "helper" is one of your own: /),
    );
    await expect(updateResource(bench.auth.deps, bob, written(wish, true))).rejects.toMatchObject({
      code: 'access_denied',
    });
    await expect(remove('role', 'helper', bob)).rejects.toMatchObject({ code: 'access_denied' });
    const eve = await personWith([everything, { resources: ['user'], verbs: ['update'] }], 'eve', 'chief');
    const chief = await read('role', 'chief', eve);
    expect((await update({ ...chief, spec: { allow: { logins: ['root'] } } }, eve)).status).toBe('updated');
  });
});

describe('other kinds', () => {
  it('an authority is shown with its public keys, and has the name of its type', async () => {
    expect(await list('cert_authority')).toEqual(['example', 'example']);
    const host = await read('cert_authority', 'host');
    expect(host).toMatchObject({
      sub_kind: 'host',
      metadata: { name: 'example' },
      spec: { type: 'host', rotation: { state: 'standby', phase: 'standby' } },
    });
    expect(kindNamed('cas').schema.safeParse(host).error).toBeUndefined();
    expect(await read('cert_authority', 'host/example')).toEqual(host);
    expect((await read('cert_authority', 'user/example')).sub_kind).toBe('user');
    for (const name of ['example', 'host/other', 'jwt'])
      await expect(read('cert_authority', name)).rejects.toMatchObject({ code: 'not_found' });
    const lines = (host.spec as { checking_keys: string[] }).checking_keys;
    expect(lines.map((one) => Buffer.from(one, 'base64').toString())).toEqual(
      signerOfCluster(bench.auth.deps.views, 'host').checkingKeys,
    );
    const pems = (host.spec as { tls_key_pairs: object[] }).tls_key_pairs;
    expect(pems.map((pair) => Object.keys(pair))).toEqual([['cert']]);
  });
  it('an authority is seen by its type, where a condition says so', async () => {
    const where = 'equals(system.catype(), "user")';
    const bob = await personWith([
      { resources: ['cert_authority'], verbs: ['list', 'readnosecrets'], where },
    ]);
    const { documents } = await listResources(bench.auth.deps, bob, { kind: 'cert_authority' });
    expect(documents.map((one) => one.sub_kind)).toEqual(['user']);
    await expect(read('cert_authority', 'host', bob)).rejects.toMatchObject({ code: 'not_found' });
  });
  it.each<[string, object]>([
    ['cluster_auth_preference', { type: 'local', second_factor: 'off' }],
    ['cluster_config', { cluster_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string }],
    ['cluster_name', { cluster_name: 'example' }],
  ])('%s is there once, read, and neither written nor deleted', async (kind, spec) => {
    const { single = '', schema } = kindNamed(kind);
    const document = await read(kind, single);
    expect(document).toMatchObject({ kind, metadata: { name: single }, spec });
    expect(schema.safeParse(document).error).toBeUndefined();
    await expect(update(document)).rejects.toMatchObject(refusal('bad_request', /not updated by a file: /));
    await expect(remove(kind, single)).rejects.toMatchObject(refusal('bad_request', /there always is one/));
  });
  it('a token is kept as a hash, and shown by its id', async () => {
    const expires = new Date(Date.parse(bench.auth.world.now()) + hour).toISOString();
    const document = {
      ...{ kind: 'token', version: 'v2', metadata: { name: 'a-secret-of-my-own-choice', expires } },
      spec: { roles: ['Node'], uses: 2 },
    };
    const { after } = await create(document);
    expect(JSON.stringify(after)).not.toContain('a-secret-of-my-own');
    const [name = ''] = await list('token');
    expect(name).toBe(after.metadata.name);
    expect(await read('token', name)).toMatchObject({
      metadata: { expires },
      spec: { roles: ['Node'], uses: 2 },
    });
    const facts = JSON.stringify((await eventsOf(bench.auth.log, 'state')).map(({ fact }) => fact));
    expect(facts).not.toContain('a-secret-of-my-own');
    // The id is no secret: it does not become one by a file that was printed.
    const printed = await read('token', name);
    await remove('token', name);
    await expect(create(printed)).rejects.toMatchObject(refusal('bad_request', /^spec\.token: /));
    expect(await list('token')).toEqual([]);
    const past = { ...document, metadata: { name: 'x'.repeat(32), expires: '2001-01-01T00:00:00Z' } };
    await expect(create(past)).rejects.toMatchObject(refusal('bad_request', /^metadata\.expires: /));
  });
  it('a lock is made with an id of its own', async () => {
    const document = {
      ...{ kind: 'lock', version: 'v2', metadata: { name: 'any' } },
      spec: { target: { user: 'ann' }, message: 'call the desk' },
    };
    await create(document);
    const [id = ''] = await list('lock');
    expect(await read('lock', id)).toMatchObject({
      spec: { target: { user: 'ann' }, message: 'call the desk', created_by: 'admin' },
    });
    // As it was printed it can be applied again; anything else is another lock.
    const printed = await read('lock', id);
    expect((await update(printed)).status).toBe('unchanged');
    const other = { ...printed, spec: { target: { user: 'bob' } } };
    await expect(update(other)).rejects.toMatchObject(refusal('bad_request', /delete it and create another/));
    await remove('lock', id);
    expect(await list('lock')).toEqual([]);
  });
});
