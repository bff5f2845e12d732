import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guard } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { hour } from '../../base/duration.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { kindNamed } from '../../domain/resources/registry.ts';
import { roleSpec } from '../../domain/role-spec.ts';
import { signerOfCluster } from '../lookups.ts';
import { addRole, addUser, adminCall, eventsOf, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { listResources } from './list-resources.ts';
import { readResource } from './read-resource.ts';
import { updateResource } from './update-resource.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const role = (name: string, spec: object = {}, metadata: object = {}): ResourceDocument => ({
  kind: 'role',
  version: 'v3',
  metadata: { name, ...metadata },
  spec,
});
const user = (name: string, roles: readonly string[], traits: object = {}): ResourceDocument => ({
  kind: 'user',
  version: 'v2',
  metadata: { name },
  spec: { roles, traits },
});
const logins = (...names: string[]): object => ({ allow: { logins: names } });
const written = (document: ResourceDocument, dryRun = false) => ({ document, dryRun });
const create = (document: ResourceDocument, call: Call = adminCall) =>
  createResource(auth.deps, call, written(document));
const update = (document: ResourceDocument, call: Call = adminCall) =>
  updateResource(auth.deps, call, written(document));
const read = async (kind: string, name: string, call: Call = adminCall): Promise<ResourceDocument> =>
  (await readResource(auth.deps, call, { kind, name })).document;
const list = async (kind: string, call: Call = adminCall): Promise<string[]> =>
  (await listResources(auth.deps, call, { kind })).documents.map(({ metadata }) => metadata.name);
const remove = (kind: string, name: string, call: Call = adminCall) =>
  deleteResource(auth.deps, call, { kind, name, dryRun: false });
const refusal = (code: string, message: RegExp) => ({
  code,
  message: expect.stringMatching(message) as string,
});
const head = () => auth.log.state.head();

interface Rule {
  readonly resources: string[];
  readonly verbs: string[];
  readonly where?: string;
}
/** A person whose only role has these rules. */
async function personWith(allow: readonly Rule[], name = 'bob', roleName = 'helper'): Promise<Call> {
  const spec = roleSpec.parse({ name: roleName, options: {}, allow: {}, deny: {}, rules: { allow } });
  await addRole(auth, spec);
  await create(user(name, [roleName]));
  return { ...userCall(name, [roleName]), rules: { username: name, roles: [spec], traits: {} } };
}
const everything: Rule = { resources: ['role'], verbs: ['*'] };

describe('a resource that a file makes', () => {
  it('is there with its revision, and not made twice', async () => {
    const made = await create(role('dba', logins('postgres')));
    expect(made).toMatchObject({ status: 'created', after: { metadata: { name: 'dba' } } });
    const found = await read('role', 'dba');
    expect(found).toEqual(made.after);
    expect(found).toMatchObject({
      metadata: { revision: expect.stringMatching(/^[0-9a-f]{16}$/) as string },
      spec: { allow: { logins: ['postgres'], node_labels: { '*': '*' } } },
    });
    await expect(create(role('dba'))).rejects.toMatchObject(
      refusal('already_exists', /^role "dba" already exists, use -f or --force flag to overwrite$/),
    );
    expect(await read('role', 'dba')).toEqual(found);
  });
  it('is replaced whole, and written only where it changes', async () => {
    await create(role('dba', logins('postgres'), { description: 'databases' }));
    const before = await head();
    expect((await update(role('dba', logins('postgres'), { description: 'databases' }))).status).toBe(
      'unchanged',
    );
    expect(await head()).toBe(before);
    const changed = await update(role('dba', logins('mysql')));
    expect(changed).toMatchObject({
      status: 'updated',
      before: { spec: { allow: { logins: ['postgres'] } }, metadata: { description: 'databases' } },
      after: { spec: { allow: { logins: ['mysql'] } } },
    });
    expect(changed.after.metadata.description).toBeUndefined();
    expect(await read('role', 'dba')).toEqual(changed.after);
  });
  it('is only talked of in a dry run', async () => {
    await create(role('dba'));
    const before = await head();
    const dry = (document: ResourceDocument) => written(document, true);
    expect((await createResource(auth.deps, adminCall, dry(role('x')))).status).toBe('created');
    expect((await createResource(auth.deps, adminCall, dry(user('x', ['dba'])))).status).toBe('created');
    expect((await updateResource(auth.deps, adminCall, dry(role('dba', logins('a'))))).status).toBe(
      'updated',
    );
    await deleteResource(auth.deps, adminCall, { kind: 'role', name: 'dba', dryRun: true });
    expect(await head()).toBe(before);
  });
  it.each<[string, object, RegExp]>([
    ['a key', role('x', { allow: { logns: [] } }), /^spec\.allow: Unrecognized key/],
    [
      'a rule',
      role('x', { allow: { rules: [{ resources: ['x'], verbs: ['*'] }] } }),
      /^spec\.allow\.rules\[0\]/,
    ],
    ['a role that is not there', user('x', ['nobody']), /^role "nobody" is not found$/],
    ['a role of machines', user('x', ['Admin']), /^role "Admin" is for machines$/],
    ['the name of a role of machines', role('Proxy'), /role of machines/],
    ['a login that is none', user('x', ['admin'], { logins: ['a b'] }), /not a valid unix login/],
    [
      'a host',
      {
        ...{ kind: 'node', version: 'v2', metadata: { name: 'x' } },
        spec: { hostname: 'a', addr: 'a', version: '1' },
      },
      /not created by a file: hosts announce themselves/,
    ],
    ['a kind that is not there', { ...role('x'), kind: 'saml' }, /not supported/],
  ])('is refused, and changes nothing, for %s', async (_, document, why) => {
    const before = await head();
    await expect(create(document as ResourceDocument)).rejects.toMatchObject(refusal('bad_request', why));
    expect(await head()).toBe(before);
  });
});

describe('of two who change a resource', () => {
  it.each<[string, ResourceDocument, object, object]>([
    ['role', role('x'), logins('first'), logins('second')],
    ['user', user('x', ['admin']), { roles: ['admin', 'access'] }, { roles: ['access'] }],
  ])('the second is told so by the revision: %s', async (kind, made, first, second) => {
    await create(made);
    const seen = await read(kind, 'x');
    await update({ ...seen, spec: first });
    const head0 = await head();
    await expect(update({ ...seen, spec: second })).rejects.toMatchObject(
      refusal('conflict', /was changed since it was read.*read it again \("tctl get (role|user)\/x"\)/),
    );
    expect(await head()).toBe(head0);
    // Whoever read it meanwhile may.
    const now = await read(kind, 'x');
    expect((await update({ ...now, spec: second })).status).toBe('updated');
  });
  it.each<[string, ResourceDocument, (n: number) => object]>([
    ['role', role('x'), (n) => logins(`login${n}`)],
    ['user', user('x', ['admin']), (n) => ({ roles: ['admin'], traits: { n: [String(n)] } })],
  ])('at once, one does, and the others lose nothing unseen: %s', async (kind, made, specOf) => {
    await create(made);
    const { metadata } = await read(kind, 'x');
    // With a revision and without: what they saw is what they replace.
    const writers = [0, 1, 2, 3].map((n) =>
      update({ ...made, metadata: n % 2 === 0 ? metadata : { name: 'x' }, spec: specOf(n) }),
    );
    const ended = await Promise.allSettled(writers);
    const [won, ...more] = ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(more).toEqual([]);
    for (const one of ended)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict' });
    expect((await read(kind, 'x')).metadata.revision).toBe(won?.after.metadata.revision);
  });
  it('at once, one makes it', async () => {
    const ended = await Promise.allSettled([create(role('x', logins('a'))), create(role('x', logins('b')))]);
    expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(ended.find((one) => one.status === 'rejected')?.reason).toMatchObject({ code: 'already_exists' });
  });
  it('the revision is the same again after a change was taken back, and does not count what nobody sets', async () => {
    const { after } = await create(role('x', logins('a')));
    await update(role('x', logins('b')));
    expect((await update(role('x', logins('a')))).after.metadata.revision).toBe(after.metadata.revision);
    await addUser(auth, 'ann', 'correct horse');
    const ann = await read('user', 'ann');
    const told = { ...(ann.spec as object), created_by: undefined };
    expect((await update({ ...ann, spec: told })).status).toBe('unchanged');
  });
});

describe('what is deleted', () => {
  it('is gone, and what is not there is not found', async () => {
    await create(role('dba'));
    expect((await remove('role', 'dba')).before.metadata.name).toBe('dba');
    for (const gone of [read('role', 'dba'), remove('role', 'dba'), update(role('dba'))])
      await expect(gone).rejects.toMatchObject(refusal('not_found', /^role "dba" is not found$/));
    await create(user('ann', ['admin']));
    await remove('user', 'ann');
    expect(await list('user')).toEqual([]);
  });
  it('is no role that somebody has, nor the one that is made again', async () => {
    await create(role('dba'));
    await create(user('ann', ['dba']));
    await expect(remove('role', 'dba')).rejects.toMatchObject(
      refusal('bad_request', /^role "dba" is held by ann: /),
    );
    await expect(remove('role', 'admin')).rejects.toMatchObject(refusal('bad_request', /is made again/));
    expect(await list('role')).toEqual(['access', 'admin', 'auditor', 'dba', 'editor']);
  });
});

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
    await expect(updateResource(auth.deps, bob, written(wish, true))).rejects.toMatchObject({
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
      signerOfCluster(auth.deps.views, 'host').checkingKeys,
    );
    const pems = (host.spec as { tls_key_pairs: object[] }).tls_key_pairs;
    expect(pems.map((pair) => Object.keys(pair))).toEqual([['cert']]);
  });
  it('an authority is seen by its type, where a condition says so', async () => {
    const where = 'equals(system.catype(), "user")';
    const bob = await personWith([
      { resources: ['cert_authority'], verbs: ['list', 'readnosecrets'], where },
    ]);
    const { documents } = await listResources(auth.deps, bob, { kind: 'cert_authority' });
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
    const expires = new Date(Date.parse(auth.world.now()) + hour).toISOString();
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
    const facts = JSON.stringify((await eventsOf(auth.log, 'state')).map(({ fact }) => fact));
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
