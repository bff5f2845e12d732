import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { second } from '../../base/time.ts';
import type { HostRecord } from '../../domain/host-info.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { announceSelf } from './announce-self.ts';
import { createToken } from '../token/create-token.ts';
import { heartbeat } from './heartbeat.ts';
import { joinHost } from './join-host.ts';
import { listHosts } from './list-hosts.ts';
import { listTokens } from '../token/list-tokens.ts';
import { removeHost } from './remove-host.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { adminCall, authHostId, callOf, newKeyLine, openTestAuth, type TestAuth } from '../testing.ts';

const staticToken = 'a-static-token-0001';
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ staticTokens: [{ roles: ['Node'], token: staticToken }] });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostIdOf = (n: number): string => `00000000-0000-4000-8000-0000000b${n.toString(16).padStart(4, '0')}`;
interface Wish {
  token: string;
  n?: number;
  role?: 'Node' | 'Proxy';
  names?: string[];
  nodename?: string;
  from?: string;
}
let lastPort = 1000;
const join = (wish: Wish, at: Pick<TestAuth, 'deps' | 'world'> = auth) => {
  const { token, n = 1, role = 'Node', names = [], nodename = `n${n}` } = wish;
  const address = wish.from ?? `10.9.${n}.7:${++lastPort}`;
  return joinHost(at.deps, callOf({ kind: 'anyone', address }), {
    ...{ hostId: hostIdOf(n), nodename, role, token, publicKey: newKeyLine() },
    ...{ additionalPrincipals: names, sentAt: at.world.now() },
  });
};
const make = async (extra: object = {}): Promise<string> => {
  const made = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, ...extra });
  return made.token;
};
const refusals = async () => {
  const span = { from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' };
  return (
    await searchAudit(auth.deps, adminCall, { ...span, types: ['join_token.use'], user: '', limit: 100 })
  ).events;
};
const denied = (message: string) => ({
  code: 'access_denied',
  message: expect.stringMatching(message) as string,
});

describe('the names of others', () => {
  const principals = (certificate: { sshCertificate: string }): string[] => [
    ...parseCertificate(fromAuthorizedKeyLine(certificate.sshCertificate)).principals,
  ];
  const lives = (n: number, said: Partial<HostRecord> = {}, certifiedNames?: string[]) => {
    const { role = 'Node' } = said;
    const caller = { kind: 'host', role, hostId: hostIdOf(n), address: `10.9.${n}.7:4711` } as const;
    return heartbeat(auth.deps, callOf({ ...caller, ...(certifiedNames && { certifiedNames }) }), {
      host: {
        hostId: hostIdOf(n),
        role,
        nodename: `n${n}`,
        address: `10.9.${n}.7:3022`,
        publicAddress: '',
        sshPublicAddress: '',
        labels: {},
        version: '4.5.0',
        ...said,
      },
      ttlSeconds: 600,
    });
  };
  const proxy = () =>
    lives(
      1,
      { role: 'Proxy', nodename: 'p1', publicAddress: 'web.example.com:443', address: '10.9.1.7:3080' },
      [
        ...['p1', 'web.example.com', 'ssh.example.com', '10.9.1.7', '203.0.113.9', 'localhost', '127.0.0.1'],
        ...['*.teleport.cluster.local', 'teleport.cluster.local'],
      ],
    );

  it.each([
    [{ nodename: 'p1' }, '"p1"'],
    [{ nodename: 'P1' }, '"p1"'],
    [{ names: ['p1'] }, '"p1"'],
    [{ names: ['web.example.com'] }, '"web.example.com"'],
    [{ names: ['SSH.example.com'] }, '"ssh.example.com"'],
    [{ names: ['p1.example'] }, '"p1.example"'],
    [{ nodename: 'auth-1' }, '"auth-1"'],
    [{ nodename: 'n5' }, '"n5"'],
    [{ names: ['n5.example'] }, '"n5.example"'],
    [{ names: ['five.lan'] }, '"five.lan"'],
  ])('refuse a node that wants %j, while they live', async (wish, name) => {
    await proxy();
    await lives(5, { publicAddress: 'five.lan:3022' });
    // What an auth server says of itself.
    await announceSelf(
      auth.deps,
      { hostId: authHostId, nodename: 'auth-1', publicAddresses: ['auth.lan'] },
      { host: '10.0.0.1', port: 3025 },
    );
    const token = await make({ uses: 1 });
    await expect(join({ token, n: 2, ...wish })).rejects.toMatchObject(
      denied(
        `^"[^"]+" \\[${hostIdOf(2)}\\] can not join the cluster with role Node, the name ${name} is that of "`,
      ),
    );
    expect((await refusals()).at(-1)).toMatchObject({ code: 'TJT02W', success: false });
    // Nothing was spent.
    await join({ token, n: 2 });
  });

  it("are a node's again when who had them is gone; those of a proxy after a day", async () => {
    await proxy();
    await lives(5);
    auth.world.advance(601 * second);
    await auth.deps.presence.flush();
    await join({ token: staticToken, n: 6, nodename: 'n5' });
    await expect(join({ token: staticToken, n: 7, nodename: 'p1' })).rejects.toMatchObject(
      denied('role Proxy, which was last seen 2026-01-01T00:00:00.000Z and is remembered for a day'),
    );
  });

  it('are free at once when an operator removes who had them', async () => {
    await proxy();
    await lives(5);
    // One process with both roles is removed in both.
    await lives(5, { role: 'Proxy' });
    for (const [n, nodename] of [
      [6, 'n5'],
      [7, 'p1'],
    ] as const)
      await expect(join({ token: staticToken, n, nodename })).rejects.toMatchObject({
        code: 'access_denied',
      });
    for (const n of [5, 1]) await removeHost(auth.deps, adminCall, { hostId: hostIdOf(n) });
    await join({ token: staticToken, n: 6, nodename: 'n5' });
    await join({ token: staticToken, n: 7, nodename: 'p1' });
    // Also the id, for the key of a machine that was set up from scratch.
    await join({ token: staticToken, n: 5, nodename: 'five' });
    const { hosts } = await listHosts(auth.deps, adminCall, { role: 'Node', labels: {} });
    expect(hosts).toEqual([]);
    await expect(removeHost(auth.deps, adminCall, { hostId: hostIdOf(5) })).rejects.toMatchObject({
      code: 'not_found',
    });
    const self = { hostId: authHostId, nodename: 'auth-1', publicAddresses: [] };
    await announceSelf(auth.deps, self, { host: '10.0.0.1', port: 3025 });
    await expect(removeHost(auth.deps, adminCall, { hostId: authHostId })).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('an auth server that counts as alive until') as string,
    });
  });

  it('are shared by proxies among each other, and by the roles of one machine', async () => {
    await proxy();
    const token = await make({ roles: ['Node', 'Proxy'] });
    const other = await join({
      token,
      n: 3,
      role: 'Proxy',
      names: ['web.example.com', 'localhost', '127.0.0.1'],
    });
    expect(principals(other)).toEqual(expect.arrayContaining(['web.example.com', 'localhost', '127.0.0.1']));
    expect(principals(await join({ token, n: 1, nodename: 'p1' }))).toContain('p1');
    await lives(5);
    await expect(join({ token, n: 4, role: 'Proxy', names: ['n5'] })).rejects.toMatchObject(
      denied('the name "n5"'),
    );
  });

  it("leave a node without addresses that are every machine's or another's", async () => {
    await proxy();
    await lives(5);
    const names = [
      '127.0.0.1',
      '::1',
      'localhost',
      '127.9.9.9',
      '10.9.5.7',
      '203.0.113.9',
      '10.9.1.7',
      '10.9.2.7',
      '10.44.0.1',
    ];
    const got = principals(await join({ token: staticToken, n: 2, names }));
    expect(got).toEqual([`${hostIdOf(2)}.example`, hostIdOf(2), 'n2.example', 'n2', '10.9.2.7', '10.44.0.1']);
    await expect(join({ token: staticToken, n: 2, nodename: 'localhost' })).rejects.toMatchObject(
      denied('set nodename to one of its own'),
    );
  });

  it("give a second process its machine's own address, but not that by which people know the cluster", async () => {
    await lives(5);
    const same = await join({ token: staticToken, n: 6, names: ['10.9.5.7'], from: '10.9.5.7:999' });
    expect(principals(same)).toContain('10.9.5.7');
    await proxy();
    const behindRouter = await join({
      token: staticToken,
      n: 7,
      names: ['203.0.113.9'],
      from: '203.0.113.9:999',
    });
    expect(principals(behindRouter)).not.toContain('203.0.113.9');
  });

  it("that stand in public_addr of an auth server are nobody's", async () => {
    const own = { ...auth, deps: { ...auth.deps, reservedNames: ['front.example.com', '203.0.113.4'] } };
    await expect(join({ token: staticToken, names: ['front.example.com'] }, own)).rejects.toMatchObject(
      denied('is that of the cluster itself'),
    );
    expect(principals(await join({ token: staticToken, names: ['203.0.113.4'] }, own))).not.toContain(
      '203.0.113.4',
    );
  });

  it('of the cluster are those of the machines that serve it, in every role of theirs', async () => {
    auth = { ...auth, deps: { ...auth.deps, reservedNames: ['front.example.com', 'web.example.com'] } };
    const node = (n: number, nodename: string) => lives(n, { nodename }, [nodename]);
    // All roles in one process, which is called as the cluster is.
    const self = { hostId: hostIdOf(9), nodename: 'front.example.com', publicAddresses: [] };
    await announceSelf(auth.deps, self, { host: '10.0.0.1', port: 3025 });
    await node(9, 'front.example.com');
    // A proxy elsewhere that is also a node.
    const refused = denied('is that of the cluster itself');
    await expect(node(1, 'web.example.com')).rejects.toMatchObject(refused);
    await lives(1, { nodename: 'web.example.com', role: 'Proxy' }, ['web.example.com']);
    await node(1, 'web.example.com');
    await expect(node(2, 'front.example.com')).rejects.toMatchObject(denied('is that of'));
  });

  it('are limited by the token', async () => {
    const token = await make({ names: ['web-*', '*.web.example'] });
    for (const wish of [
      { nodename: 'db1' },
      { nodename: 'web-1', names: ['db1.example.com'] },
      { nodename: 'web-1.x' },
    ])
      await expect(join({ token, n: 2, ...wish })).rejects.toMatchObject(
        denied('the token lets its machines be called web-\\*, \\*\\.web\\.example only, not'),
      );
    const names = [hostIdOf(2), 'a.web.example', '10.9.2.7', '10.44.0.1'];
    const got = principals(await join({ token, n: 2, nodename: 'web-1', names }));
    expect(got).toEqual(expect.arrayContaining(['web-1', 'a.web.example', '10.9.2.7']));
    expect(got).not.toContain('10.44.0.1');
    expect((await listTokens(auth.deps, adminCall, {})).tokens).toContainEqual(
      expect.objectContaining({ names: ['web-*', '*.web.example'] }),
    );
    await expect(make({ names: ['a b'] })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('are not announced either: no name that the certificate lacks, and no new one that another has', async () => {
    await lives(5);
    await expect(lives(2, { nodename: 'n5' })).rejects.toMatchObject(denied('the name "n5" is that of'));
    await expect(lives(2, { nodename: 'db1' }, ['n2'])).rejects.toMatchObject(
      denied('its certificate is for other names \\(n2\\)'),
    );
    await lives(2, {}, ['n2']);
    await expect(lives(2, { nodename: 'db1' }, ['n2'])).rejects.toMatchObject(
      denied('joins again with a token'),
    );
    for (const said of [
      { address: 'n5:3022' },
      { publicAddress: 'web.example.com:443' },
      { sshPublicAddress: 'evil:22' },
    ])
      await expect(lives(2, said, ['n2'])).rejects.toMatchObject(denied('its certificate does not name'));
    await lives(2, { address: 'n2:3022', publicAddress: '10.1.1.1:22' }, ['n2']);
  });

  it('stand where a release before took them, although the certificate lacks them; no further one does', async () => {
    const place = { publicAddress: 'web.example.com:443', role: 'Proxy' } as const;
    // The certificate was made before public_addr was set, and older releases did not ask.
    await lives(2, place);
    await lives(2, { ...place, labels: { a: 'b' } }, ['n2']);
    await expect(lives(2, { ...place, publicAddress: 'evil.example:443' }, ['n2'])).rejects.toMatchObject(
      denied('its certificate does not name "evil.example"'),
    );
    await expect(
      lives(2, { ...place, sshPublicAddress: 'web.example.com:3023' }, ['n2']),
    ).rejects.toMatchObject(denied('its certificate does not name'));
  });

  it('of a proxy that is gone are those of its machine again that was set up from scratch', async () => {
    await proxy();
    auth.world.advance(601 * second);
    // As a node beside an auth server on that machine, which certifies it without a token.
    await lives(8, { nodename: 'p1' }, ['p1']);
    await expect(join({ token: staticToken, n: 9, nodename: 'web.example.com' })).rejects.toMatchObject(
      denied('remembered for a day'),
    );
  });

  it('are kept by two that both have one already, and it is known who was first', async () => {
    await lives(5);
    auth.world.advance(601 * second);
    await lives(6, { nodename: 'n5' });
    await lives(5);
    const { hosts } = await listHosts(auth.deps, adminCall, { role: 'Node', labels: {} });
    expect(hosts.map(({ hostId, namedSince }) => [hostId, namedSince])).toEqual([
      [hostIdOf(5), '2026-01-01T00:00:00.000Z'],
      [hostIdOf(6), '2026-01-01T00:10:01.000Z'],
    ]);
  });
});
