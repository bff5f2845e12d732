import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import type { Instant } from '../../base/time.ts';
import { nodeDocument } from './hosts.ts';
import { lockDocument, targetOfDocument } from './lock.ts';
import { kindNamed, kindsOfResources, parseReference } from './registry.ts';
import { tokenDocument } from './token.ts';
import { documentOfUser, userDocument, userOfDocument } from './user.ts';

const user = (spec: object, name = 'ann'): object => ({
  kind: 'user',
  version: 'v2',
  metadata: { name },
  spec,
});
const lock = (target: object, more: object = {}): object => ({
  kind: 'lock',
  version: 'v2',
  metadata: { name: 'x' },
  spec: { target, ...more },
});
const token = (spec: object, metadata: object = {}): object => ({
  kind: 'token',
  version: 'v2',
  metadata: { name: 'secret-of-a-token', ...metadata },
  spec,
});
const at = '2026-01-31T08:00:00.000Z' as Instant;

describe('a document of a user', () => {
  it('gives roles once, and traits that have values', () => {
    const read = userDocument.parse(
      user({ roles: ['a', 'b', 'a'], traits: { logins: ['root'], groups: null, none: [] } }),
    );
    expect(userOfDocument(read)).toEqual({
      username: 'ann',
      roles: ['a', 'b'],
      traits: { logins: ['root'] },
    });
  });
  it('is shown with what nobody sets, and read again', () => {
    const known = { username: 'ann', roles: ['a'], traits: { logins: ['root'] }, createdAt: at };
    const locked = documentOfUser({ ...known, lock: { until: at, reason: 'too many' } });
    expect(locked.spec).toMatchObject({
      status: { is_locked: true, locked_message: 'too many', lock_expires: at },
      created_by: { time: at },
    });
    expect(userDocument.parse(locked)).toEqual(locked);
  });
  it('stays the same however often it is written and read', () => {
    const word = fc.constantFrom('root', 'a', 'b', 'logins', 'no');
    const traits = fc.dictionary(word, fc.option(fc.array(word)));
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }), traits, (roles, given) => {
        const described = userOfDocument(userDocument.parse(user({ roles, traits: given })));
        const shown = documentOfUser({ ...described, createdAt: at });
        const again = userOfDocument(userDocument.parse(shown));
        expect(again).toEqual(described);
        expect(documentOfUser({ ...again, createdAt: at })).toEqual(shown);
      }),
    );
  });
});

describe('a document is refused with the place of the fault', () => {
  it.each<[string, z.ZodType, object, string]>([
    ['user without roles', userDocument, user({}), 'spec.roles'],
    ['user with no roles', userDocument, user({ roles: [] }), 'spec.roles'],
    ['user with a key too many', userDocument, user({ roles: ['a'], rols: [] }), 'spec'],
    [
      'user with a trait that is no list',
      userDocument,
      user({ roles: ['a'], traits: { x: 'y' } }),
      'spec.traits.x',
    ],
    ['user whose name is none', userDocument, user({ roles: ['a'] }, '-x'), 'metadata.name'],
    ['lock of nothing', lockDocument, lock({}), 'spec.target'],
    ['lock of two things', lockDocument, lock({ user: 'a', role: 'b' }), 'spec.target'],
    ['lock of what is none', lockDocument, lock({ users: 'a' }), 'spec.target'],
    [
      'lock with a message of two lines',
      lockDocument,
      lock({ user: 'a' }, { message: 'a\nb' }),
      'spec.message',
    ],
    ['token without roles', tokenDocument, token({ roles: [] }), 'spec.roles'],
    ['token for people', tokenDocument, token({ roles: ['Admin'] }), 'spec.roles.0'],
    ['token with no uses', tokenDocument, token({ roles: ['Node'], uses: 0 }), 'spec.uses'],
    [
      'token that ends at no time',
      tokenDocument,
      token({ roles: ['Node'] }, { expires: 'soon' }),
      'metadata.expires',
    ],
    [
      'node without a name',
      nodeDocument,
      { kind: 'node', version: 'v2', metadata: { name: 'x' }, spec: { addr: 'a', version: '1' } },
      'spec.hostname',
    ],
  ])('%s', (_, schema, document, place) => {
    const [issue] = schema.safeParse(document).error?.issues ?? [];
    expect(issue?.path.join('.')).toBe(place);
  });
  it('a lock says whom it keeps out', () => {
    expect(targetOfDocument(lockDocument.parse(lock({ login: 'root' })))).toEqual({
      kind: 'login',
      text: 'root',
    });
  });
});

describe('a kind of resource', () => {
  it('is found by each of its names, which no other kind has', () => {
    const names = kindsOfResources.flatMap(({ kind, aliases }) => [kind, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
    for (const one of kindsOfResources)
      for (const name of [one.kind, ...one.aliases]) expect(kindNamed(name.toUpperCase())).toBe(one);
  });
  it.each<[string, RegExp]>([
    ['rolle', /unknown kind of resource "rolle"; did you mean role\?/],
    ['x'.repeat(1000), /unknown kind of resource "x{64}" \(known: role, user/],
    ['oidc', /resources of kind "oidc" are not supported: single sign-on is not in this release/],
    ['tunnel_connection', /resources of kind "tunnel_connection" are not supported: there are no tunnels/],
    ['cap/other', /^there is one cluster_auth_preference, called cluster-auth-preference$/],
    ['constructor', /unknown kind/],
    ['role/', /a name is missing after the kind/],
    ['', /unknown kind/],
  ])('is refused with why: %s', (text, why) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringMatching(why) as string }),
    );
  });
  it.each([
    ['roles', 'role', undefined],
    ['role/dba', 'role', 'dba'],
    ['user a/b', 'user', 'a/b'],
    ['user\tann', 'user', 'ann'],
    ['cas', 'cert_authority', undefined],
    ['cert_authority/host/example', 'cert_authority', 'host/example'],
    ['cap', 'cluster_auth_preference', 'cluster-auth-preference'],
    ['cluster_name', 'cluster_name', 'cluster-name'],
  ])('is referred to by %j', (text, kind, name) => {
    const found = parseReference(text);
    expect([found.kind.kind, found.name]).toEqual([kind, name]);
  });
});
