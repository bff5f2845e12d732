import { describe, expect, it } from 'vitest';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { addUser, adminCall } from '../testing.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { updateResource } from './update-resource.ts';
import {
  bench,
  benchOfEachTest,
  create,
  head,
  list,
  logins,
  read,
  refusal,
  remove,
  role,
  update,
  user,
  written,
} from './resources-testing.ts';

benchOfEachTest();

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
    expect((await createResource(bench.auth.deps, adminCall, dry(role('x')))).status).toBe('created');
    expect((await createResource(bench.auth.deps, adminCall, dry(user('x', ['dba'])))).status).toBe(
      'created',
    );
    expect((await updateResource(bench.auth.deps, adminCall, dry(role('dba', logins('a'))))).status).toBe(
      'updated',
    );
    await deleteResource(bench.auth.deps, adminCall, { kind: 'role', name: 'dba', dryRun: true });
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

describe('a deletion', () => {
  const dryly = (name: string) =>
    deleteResource(bench.auth.deps, adminCall, { kind: 'role', name, dryRun: true });

  it('is refused in a dry run as it would be', async () => {
    await create(role('dba'));
    await create(user('ann', ['dba']));
    const before = await head();
    for (const [name, why] of [
      ['dba', /^role "dba" is held by ann: /],
      ['admin', /^role "admin" is made again/],
    ] as const) {
      await expect(dryly(name)).rejects.toMatchObject(refusal('bad_request', why));
      await expect(remove('role', name)).rejects.toMatchObject(refusal('bad_request', why));
    }
    expect(await head()).toBe(before);
  });
});

describe('a role that is deleted while somebody gets it', () => {
  it.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    ['in a new user', () => create(user('new', ['dba'])), () => Promise.resolve()],
    [
      'in a user who changes',
      () => update(user('old', ['access', 'dba'])),
      () => create(user('old', ['access'])),
    ],
  ])('%s is either deleted or held', async (_, give, prepare) => {
    await prepare();
    for (let turns = 0; turns < 12; turns++) {
      await create(role('dba'));
      const later = async (): Promise<unknown> => {
        for (let i = 0; i < turns; i++) await Promise.resolve();
        return remove('role', 'dba');
      };
      const [given, deleted] = await Promise.allSettled([give(), later()]);
      expect([given.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
      if (deleted.status === 'fulfilled') continue;
      for (const name of ['new', 'old']) if ((await list('user')).includes(name)) await remove('user', name);
      await remove('role', 'dba');
      await prepare();
    }
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
    await addUser(bench.auth, 'ann', 'correct horse');
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
