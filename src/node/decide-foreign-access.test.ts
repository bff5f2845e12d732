import type { KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { lockStream, trustedClusterStream } from '../domain/streams.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import {
  admin,
  cluster,
  decide,
  keyOf,
  lastWords,
  otherCluster,
  role,
  user,
} from './decide-access-testing.ts';

const guest = role({
  name: 'guest',
  allow: { logins: ['{{internal.logins}}', '{{external.team}}'], nodeLabels: { env: ['test'] } },
});
const root = otherCluster('root');
const known = [...cluster, admin, guest, root.trusted];
/** As somebody of another cluster, who has the role `dev` there and may be `ubuntu`. */
const as = (
  ca: KeyObject,
  more: {
    username?: string;
    principals?: string[];
    roles?: string[];
    traits?: Record<string, string[]>;
  } = {},
) => ({
  certificate: { ca, username: 'alice', principals: ['ubuntu'], roles: ['dev'], traits: {}, ...more },
  login: 'ubuntu',
});
const change = (type: string, data: object, name = 'root'): [StreamName, Fact] => [
  trustedClusterStream(name),
  { type: `trusted_cluster.${type}`, data },
];
const settingsOf = ([, fact]: [StreamName, Fact], more: object): object => ({ ...fact.data, ...more });

describe('somebody of another cluster', () => {
  it('is let in by the roles that the role map gives, under the name of that cluster', () => {
    expect(decide(known, as(root.ca))).toMatchObject({
      ...{ username: 'root/alice', cluster: 'root', login: 'ubuntu' },
      // What becomes of that person there is not known here: the certificate ends.
      options: { disconnectExpiredCert: true },
    });
  });
  it('is refused under the key of a cluster that is not trusted', () => {
    const [b, c] = [otherCluster('b'), otherCluster('c')];
    expect(() => decide([...known, b.trusted], as(c.ca))).toThrow(/an authority that is not trusted/);
    expect(decide([...known, b.trusted, c.trusted], as(c.ca)).username).toBe('c/alice');
  });
  it('gets what the map of the own cluster gives, and not that of another one', () => {
    const b = otherCluster('b', { roleMap: [{ remote: 'dev', local: ['admin'] }] });
    const all = [...known, b.trusted];
    expect(() => decide(all, { ...as(root.ca, { principals: ['root'] }), login: 'other' })).toThrow();
    expect(decide(all, { ...as(b.ca, { principals: ['root'] }), login: 'root' }).username).toBe('b/alice');
    expect(() => decide(all, { ...as(root.ca, { principals: ['x'] }), login: 'root' })).toThrow(
      /no role allows the login "root"/,
    );
  });
  it('is nobody under a key that two clusters have', () => {
    const twin = otherCluster('twin', { ca: root.ca, roleMap: [{ remote: '*', local: ['admin'] }] });
    expect(() => decide([...known, twin.trusted], as(root.ca))).toThrow(/not trusted/);
  });
  it('is not a user of this cluster of that name, whoever exists here', () => {
    const all = [...known, user('alice', ['admin'])];
    expect(decide(all, as(root.ca)).username).toBe('root/alice');
    expect(() => decide(all, { ...as(root.ca), login: 'root' })).toThrow(/no role allows the login "root"/);
    expect(() => decide(all, as(root.ca, { roles: ['admin'] }))).toThrow(/gives no role here to "admin"/);
    expect(() => decide(all, as(root.ca, { roles: [] }))).toThrow(/a certificate without roles/);
  });
  it('is refused where no role is mapped, and told to the audit which there were', () => {
    expect(() => decide(known, as(root.ca, { roles: ['ops', 'x'] }))).toThrow(
      'user root/alice is not authorized to login as ubuntu@example: ' +
        'the role map of trusted cluster root gives no role here to "ops", "x"',
    );
  });
  it('is refused by a role that is mapped and missing, since it might have denied', () => {
    const b = otherCluster('b', { roleMap: [{ remote: 'dev', local: ['guest', 'gone'] }] });
    expect(() => decide([...known, b.trusted], as(b.ca))).toThrow(/there is no role gone/);
  });
  it('has the logins and traits of the certificate, and no other', () => {
    const traits = { logins: ['root', 'toor'], team: ['web'] };
    expect(decide(known, { ...as(root.ca, { traits }), login: 'web' }).login).toBe('web');
    expect(() => decide(known, { ...as(root.ca, { traits }), login: 'root' })).toThrow(
      /no role allows the login/,
    );
    expect(() =>
      decide(known, {
        ...as(root.ca, { principals: ['-teleport-nologin-1'] }),
        login: '-teleport-nologin-1',
      }),
    ).toThrow(/no role allows the login/);
  });
  it.each(['root/bob', '.x', '', 'a\nb', '-x'])('is nobody with the name %j', (username) => {
    expect(() => decide(known, { ...as(root.ca), altered: { keyId: username } })).toThrow(
      expect.objectContaining({ code: 'access_denied' }),
    );
  });

  describe('is kept out', () => {
    it.each([
      ['disabled', change('updated', settingsOf(root.trusted, { enabled: false }))],
      ['removed', change('deleted', {})],
      [
        'mapped otherwise',
        change('updated', settingsOf(root.trusted, { roleMap: [{ remote: 'x', local: ['guest'] }] })),
      ],
      [
        'of other keys',
        change('keys_changed', { authority: 'user', ...stated(generateEd25519()), how: 'exchanged' }),
      ],
      ['not to be read', change('updated', { critical: ['of-later'] })],
    ])('at login and while connected, once that cluster is %s', (_, fact) => {
      for (const asked of ['at_login', 'while_connected'] as const)
        expect(() =>
          decide([...known, fact], { ...as(root.ca), ...(asked === 'at_login' ? {} : { asked }) }),
        ).toThrow(expect.objectContaining({ code: 'access_denied' }));
    });
    it('only at login under a key that a rotation has withdrawn', () => {
      const rotated = change('keys_changed', {
        authority: 'user',
        ...stated(generateEd25519()),
        how: 'announced',
      });
      expect(() => decide([...known, rotated], as(root.ca))).toThrow(/not trusted/);
      expect(decide([...known, rotated], { ...as(root.ca), asked: 'while_connected' }).username).toBe(
        'root/alice',
      );
      const disabled = change('updated', settingsOf(root.trusted, { enabled: false }));
      expect(() =>
        decide([...known, rotated, disabled], { ...as(root.ca), asked: 'while_connected' }),
      ).toThrow();
    });
    it('by the key of the host authority of that cluster', () => {
      const host = generateEd25519();
      const changed = change('keys_changed', { authority: 'host', ...stated(host), how: 'announced' });
      expect(() => decide([...known, changed], as(host))).toThrow(/not trusted/);
    });
    it.each([
      ['user', 'root/alice'],
      ['role', 'guest'],
      ['login', 'ubuntu'],
      ['node', 'web-1'],
    ])('by a lock of %s %s', (kind, name) => {
      const lock: [StreamName, Fact] = [
        lockStream('l'),
        { type: 'lock.created', data: { target: { kind, name }, message: 'no' } },
      ];
      expect(() => decide([...known, lock], as(root.ca))).toThrow(/lock targeting .* is in force: no/);
    });
    it('by no lock of somebody here, nor of a role there', () => {
      const lock = (kind: string, name: string): [StreamName, Fact] => [
        lockStream(name),
        { type: 'lock.created', data: { target: { kind, name }, message: '' } },
      ];
      const all = [...known, lock('user', 'alice'), lock('role', 'dev')];
      expect(decide(all, as(root.ca)).username).toBe('root/alice');
    });
  });

  it.each([
    ['removed', [], 'trusted cluster "root" has been removed'],
    [
      'disabled',
      [change('updated', settingsOf(root.trusted, { enabled: false }))],
      'trusted cluster "root" is disabled',
    ],
    ['as it was', [], undefined],
  ])('is told, while connected, that the cluster is %s', (what, facts, text) => {
    const trusted = what === 'removed' ? [] : [root.trusted];
    expect(lastWords([...cluster, admin, guest, ...trusted, ...facts], as(root.ca), 'root')).toBe(text);
  });

  it('is told, while connected, of a lock', () => {
    const lock: [StreamName, Fact] = [
      lockStream('l'),
      { type: 'lock.created', data: { target: { kind: 'user', name: 'root/alice' }, message: 'go home' } },
    ];
    expect(lastWords([...known, lock], as(root.ca), 'root')).toMatch(/go home/);
  });

  it('is of the cluster whose key signed, whatever is trusted and named', () => {
    const cas = [generateEd25519(), generateEd25519(), generateEd25519()] as const;
    const names = ['a', 'b', 'c'] as const;
    const one = fc.record({ enabled: fc.boolean(), local: fc.constantFrom('guest', 'admin') });
    fc.assert(
      fc.property(
        fc.tuple(fc.option(one), fc.option(one), fc.option(one)),
        fc.nat(2),
        fc.constantFrom('alice', 'a', 'b/c', 'root'),
        fc.constantFrom('ubuntu', 'root'),
        (trusted, signer, username, login) => {
          const facts = names.flatMap((name, i) => {
            const how = trusted[i];
            const roleMap = [{ remote: '*', local: [how?.local ?? ''] }];
            const ca = cas[i];
            return how === null || how === undefined || ca === undefined
              ? []
              : [otherCluster(name, { ca, enabled: how.enabled, roleMap }).trusted];
          });
          const ca = cas[signer] ?? expect.unreachable();
          const wish = { ...as(ca, { principals: [login] }), altered: { keyId: username }, login };
          const mine = trusted[signer];
          const isIn = mine?.enabled === true && !username.includes('/');
          let entered: string | undefined;
          try {
            entered = decide([...cluster, admin, guest, user('alice', ['admin']), ...facts], wish).username;
          } catch (e) {
            if (!isCoded(e)) throw e;
          }
          expect(entered).toBe(isIn ? `${names[signer] ?? ''}/${username}` : undefined);
        },
      ),
      { numRuns: 200 },
    );
  });
});

function stated(ca: KeyObject): object {
  return { keys: [keyOf(ca, 'k2')], number: 2 };
}
