import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isCoded } from '../../base/errors.ts';
import { guard } from '../../api/guard.ts';
import { listAccess as listRow, longestAccessPage } from '../../api/operations/access.ts';
import { type RoleSpec, roleSpec } from '../../domain/role-spec.ts';
import { hostStream } from '../../domain/streams.ts';
import { createLock } from '../lock/create-lock.ts';
import { createResource } from '../resource/create-resource.ts';
import { updateResource } from '../resource/update-resource.ts';
import { rulesOf } from '../rules-of.ts';
import { addRole, adminCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { createUser } from '../user/create-user.ts';
import { explainAccess } from './explain-access.ts';
import { listAccess } from './list-access.ts';
import { testAccess } from './test-access.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(() => auth.close());

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

/** Nodes as the log has them, in one append. */
async function addNodes(
  ...nodes: { n: number; nodename: string; labels?: Record<string, string> }[]
): Promise<void> {
  const { state } = auth.log;
  const host = ({ n, nodename, labels = {} }: (typeof nodes)[number]) => ({
    ...{ hostId: idOf(n), role: 'Node', nodename, address: '192.0.2.7:3022' },
    ...{ publicAddress: '', sshPublicAddress: '', labels, version: '1.0.0' },
  });
  const cause = { at: auth.world.now(), actor: 'admin', requestId: idOf(0) };
  for (let from = 0; from < nodes.length; from += 500)
    await auth.deps.views.reached(
      await state.append(
        nodes.slice(from, from + 500).map((node) => ({
          stream: hostStream(idOf(node.n)),
          expected: 0,
          facts: [{ type: 'host.joined', data: { host: host(node) } }],
        })),
        cause,
      ),
    );
}

const roleOf = (name: string, allow: object, deny: object = {}): RoleSpec =>
  roleSpec.parse({ name, options: {}, allow, deny });

const addPerson = (username: string, roles: string[], logins = [username]): Promise<unknown> =>
  createUser(auth.deps, adminCall, { username, roles, traits: { logins }, inviteTtlSeconds: 3600 });

async function addSome(): Promise<void> {
  await addRole(auth, roleOf('dev', { logins: ['root', 'dev'], nodeLabels: { env: ['test'] } }));
  await addRole(auth, roleOf('ops', { logins: ['ops'], nodeLabels: { '*': ['*'] } }, { logins: ['evil'] }));
  await addPerson('alice', ['dev']);
  await addPerson('bob', ['dev', 'ops']);
  await addNodes(
    { n: 1, nodename: 'web-1', labels: { env: 'test' } },
    { n: 2, nodename: 'db-1', labels: { env: 'prod' } },
  );
}

const explain = (user: string, node: string, login?: string): ReturnType<typeof explainAccess> =>
  explainAccess(auth.deps, adminCall, { user, node, login });

describe('explaining', () => {
  beforeEach(addSome);

  it('finds the node by its name and by its id, and says why for each login', async () => {
    const { user, nodes } = await explain('bob', 'WEB-1');
    expect(user).toEqual({
      ...{ status: 'known', roles: ['dev', 'ops'], requests: [] },
      traits: { logins: ['bob'] },
    });
    expect(
      nodes.map(({ nodename, logins }) => [nodename, logins.map(({ login, status }) => [login, status])]),
    ).toEqual([
      [
        'web-1',
        [
          ['dev', 'allowed'],
          ['evil', 'denied'],
          ['ops', 'allowed'],
          ['root', 'allowed'],
        ],
      ],
    ]);
    const [denied] = (await explain('alice', idOf(2), 'root')).nodes;
    expect(denied?.logins[0]).toMatchObject({
      status: 'denied',
      near: [{ kind: 'only_login', role: 'dev' }],
    });
  });

  it('counts locks of the user, a role, the login and the node, and a user or role that is not there', async () => {
    const lock = (kind: 'user' | 'role' | 'login' | 'node', target: string) =>
      createLock(auth.deps, adminCall, { kind, target, message: '' });
    for (const [kind, target] of [
      ['user', 'alice'],
      ['role', 'dev'],
      ['login', 'root'],
      ['node', 'web-1'],
    ] as const)
      await lock(kind, target);
    const [node] = (await explain('alice', 'web-1', 'root')).nodes;
    expect(node?.logins[0]?.reasons.map(({ kind }) => kind)).toEqual(new Array(4).fill('locked'));
    const nobody = await explain('nobody', 'db-1');
    expect(nobody.user.status).toBe('missing');
    expect(nobody.nodes[0]?.logins).toMatchObject([{ login: 'nobody', reasons: [{ kind: 'user_missing' }] }]);
  });

  it('explains each of several machines of one name, and refuses a node that is not there', async () => {
    await addNodes({ n: 3, nodename: 'web-1', labels: { env: 'prod' } });
    const { nodes } = await explain('alice', 'web-1', 'root');
    expect(nodes.map(({ hostId, logins }) => [hostId, logins[0]?.status])).toEqual([
      [idOf(1), 'allowed'],
      [idOf(3), 'denied'],
    ]);
    await expect(explain('alice', 'web-9')).rejects.toSatisfy((e) => isCoded(e, 'not_found'));
    await expect(explain('root/alice', 'web-1')).rejects.toThrow('root/alice is of another cluster');
  });
});

describe('listing', () => {
  const list = async (
    input: Parameters<typeof listAccess>[2],
    call = adminCall,
  ): Promise<readonly string[]> =>
    (await listAccess(auth.deps, call, input)).rows.map(
      ({ user, nodename, logins }) => `${user} ${nodename} ${logins.map(({ login }) => login).join(',')}`,
    );

  it('is by user, by node and by role', async () => {
    await addSome();
    expect(await list({})).toEqual(['alice web-1 dev,root', 'bob db-1 ops', 'bob web-1 dev,ops,root']);
    expect(await list({ user: 'alice' })).toEqual(['alice web-1 dev,root']);
    expect(await list({ node: 'db-1' })).toEqual(['bob db-1 ops']);
    expect(await list({ role: 'dev' })).toEqual(['alice web-1 dev,root', 'bob web-1 dev,root']);
    for (const input of [{ user: 'x' }, { node: 'x' }, { role: 'x' }])
      await expect(list(input)).rejects.toSatisfy((e) => isCoded(e, 'not_found'));
    await expect(list({ after: 'x' })).rejects.toSatisfy((e) => isCoded(e, 'bad_request'));
  });

  it('has the locks in force, and who has a role that is missing', async () => {
    await addSome();
    await createLock(auth.deps, adminCall, { kind: 'login', target: 'root', message: '' });
    const { rows } = await listAccess(auth.deps, adminCall, { user: 'alice' });
    expect(rows[0]?.locks).toEqual(['lock targeting Login:"root" is in force']);
    const { position } = {
      position: await auth.log.state.append(
        [{ stream: 'role-dev', expected: 1, facts: [{ type: 'role.deleted', data: { name: 'dev' } }] }],
        { at: auth.world.now(), actor: 'admin', requestId: idOf(0) },
      ),
    };
    await auth.deps.views.reached(position);
    const after = await listAccess(auth.deps, adminCall, {});
    expect(after.rows).toEqual([]);
    expect(after.without.map(({ user }) => user)).toEqual(['alice', 'bob']);
  });

  it('comes in pages that together have each row once', async () => {
    await addRole(auth, roleOf('all', { logins: ['a'], nodeLabels: { '*': ['*'] } }));
    for (const name of ['alice', 'bob']) await addPerson(name, ['all']);
    const count = longestAccessPage + 200;
    await addNodes(...Array.from({ length: count }, (_, n) => ({ n: n + 1, nodename: `n-${n % 7}` })));
    const seen: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const page = await listAccess(auth.deps, adminCall, { after });
      expect(page.rows.length).toBeLessThanOrEqual(longestAccessPage);
      seen.push(...page.rows.map(({ user, hostId }) => `${user} ${hostId}`));
      after = page.next;
      pages++;
    } while (after !== undefined);
    expect(pages).toBeGreaterThan(2);
    expect([seen.length, new Set(seen).size]).toEqual([2 * count, 2 * count]);
  });

  it('goes on behind users of a page, and behind a node of one', async () => {
    await addRole(auth, roleOf('all', { logins: ['a'], nodeLabels: { '*': ['*'] } }));
    for (const name of ['alice', 'bob', 'carol']) await addPerson(name, ['all']);
    await addNodes({ n: 1, nodename: 'n-1' }, { n: 2, nodename: 'n-2' });
    const behind = (...at: string[]): Promise<readonly string[]> => list({ after: JSON.stringify(at) });
    expect(await behind('alice')).toEqual(['bob n-1 a', 'bob n-2 a', 'carol n-1 a', 'carol n-2 a']);
    expect(await behind('bob', 'n-1', idOf(1))).toEqual(['bob n-2 a', 'carol n-1 a', 'carol n-2 a']);
    expect(await behind('bob', 'n-2', idOf(2))).toEqual(['carol n-1 a', 'carol n-2 a']);
    expect(await behind('carol')).toEqual([]);
    const asked = { user: 'bob', after: JSON.stringify(['bob', 'n-1', idOf(1)]) };
    expect(await list(asked)).toEqual(['bob n-2 a']);
    expect(await list({ user: 'bob', after: JSON.stringify(['bob']) })).toEqual([]);
  });

  it('gives others their turns, and a page less rows where they are long', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `r${i}`);
    for (const name of names)
      await addRole(auth, roleOf(name, { logins: ['root', name], nodeLabels: { env: [`^(p|${name}).*$`] } }));
    await addPerson('alice', names);
    const nodes = Array.from({ length: 400 }, (_, n) => ({ n: n + 1, nodename: `n-${n}` }));
    await addNodes(...nodes.map((node) => ({ ...node, labels: { env: `p${node.n}` } })));
    let turns = 0;
    let isOver = false;
    const others = (): void => {
      turns++;
      if (!isOver) setImmediate(others);
    };
    setImmediate(others);
    const page = await listAccess(auth.deps, adminCall, { user: 'alice' });
    isOver = true;
    expect(page.rows.length).toBeGreaterThan(10);
    expect(page.rows.length).toBeLessThan(200);
    expect(page.rows[0]?.logins).toHaveLength(61);
    expect(page.next).toBeDefined();
    expect(turns).toBeGreaterThan(3);
  });

  it('shows a person whose rule has a condition only those for whom it is met', async () => {
    await addSome();
    const where = 'equals(resource.metadata.name, "alice")';
    const rules = { allow: [{ resources: ['access'], verbs: ['list'], where }], deny: [] };
    await addRole(auth, { ...roleOf('auditor-of-alice', {}), rules });
    const call = userCall('carol', ['auditor-of-alice']);
    if (call.caller.kind !== 'user') throw new Error('not a person');
    const { rules: asked } = guard(listRow, call.caller, rulesOf(auth.deps));
    expect(await list({}, { ...call, rules: asked })).toEqual(['alice web-1 dev,root']);
  });
});

describe('expectations', () => {
  beforeEach(addSome);
  const expectations = [
    { user: 'alice', login: 'root', node: 'web-1', expect: 'allow' },
    { user: 'alice', login: 'root', labels: { env: 'prod' }, expect: 'allow' },
    { user: 'bob', login: 'ops', labels: {}, expect: 'deny' },
    { user: 'bob', login: 'ops', node: 'web-9', expect: 'deny' },
  ] as const;

  it('are met or not, and then it is said why', async () => {
    const { results } = await testAccess(auth.deps, adminCall, {
      expectations: [...expectations],
      roles: [],
    });
    expect(results.map((one) => (one.status === 'met' ? 'met' : one.why[0]))).toEqual([
      'met',
      'no role allows the login "root" on this server',
      expect.stringMatching(/^role "ops" allows it/),
      'node "web-9" is not found',
    ]);
  });

  it('are compared with roles that are not written yet, and nothing is written', async () => {
    const spec = { allow: { logins: ['root'], node_labels: { env: ['prod'] } } };
    const role = { kind: 'role', version: 'v3', metadata: { name: 'dev' }, spec };
    const before = await auth.log.state.head();
    const { results } = await testAccess(auth.deps, adminCall, {
      expectations: expectations.slice(0, 2),
      roles: [role],
    });
    expect(results.map(({ status }) => status)).toEqual(['failed', 'met']);
    expect(await auth.log.state.head()).toBe(before);
    const refused = [
      { expectations: [], roles: [{ ...role, kind: 'user', version: 'v2', spec: { roles: ['dev'] } }] },
      { expectations: [{ user: 'alice', login: 'root', expect: 'deny' as const }], roles: [] },
    ];
    for (const input of refused)
      await expect(testAccess(auth.deps, adminCall, input)).rejects.toSatisfy((e) =>
        isCoded(e, 'bad_request'),
      );
  });
});

describe('who gains and who loses', () => {
  beforeEach(addSome);
  const roleDocument = (name: string, spec: object) => ({
    kind: 'role',
    version: 'v3',
    metadata: { name },
    spec,
  });
  const dry = async (document: object): Promise<readonly string[] | undefined> => {
    const { status } = await createResource(auth.deps, adminCall, {
      document: document as never,
      dryRun: true,
    }).catch(() => ({ status: 'exists' }));
    const write = status === 'exists' ? updateResource : createResource;
    return (await write(auth.deps, adminCall, { document: document as never, dryRun: true })).notices;
  };

  it('is said of a role, for all who have it', async () => {
    const notices = await dry(
      roleDocument('dev', {
        allow: { logins: ['root'], node_labels: { '*': '*' } },
        deny: { logins: ['ops'] },
      }),
    );
    expect(notices).toEqual([
      'alice gains root on 1 node: db-1',
      'alice loses dev on 1 node: web-1',
      'bob gains root on 1 node: db-1',
      'bob loses ops on 1 node: db-1',
      'bob loses dev, ops on 1 node: web-1',
    ]);
    const same = {
      allow: { logins: ['root', 'dev'], node_labels: { env: 'test' } },
      options: { max_sessions: 3 },
    };
    expect(await dry(roleDocument('dev', same))).toEqual([]);
    const nobody = await dry(roleDocument('new', { allow: { logins: ['root'] } }));
    expect(nobody).toEqual(['nobody gains or loses a login on the nodes that there are now']);
  });

  it('is said of a user, and in a few lines of many', async () => {
    const user = { kind: 'user', version: 'v2', metadata: { name: 'alice' }, spec: { roles: ['ops'] } };
    expect(await dry(user)).toEqual([
      'alice gains ops on 2 nodes: db-1, web-1',
      'alice loses dev, root on 1 node: web-1',
    ]);
    for (let i = 0; i < 15; i++) await addPerson(`u-${i}`, ['ops'], ['x']);
    const notices = await dry(roleDocument('ops', { allow: { logins: ['{{internal.logins}}'] } }));
    expect(notices).toHaveLength(11);
    expect(notices?.at(-1)).toMatch(/^… and \d+ more such lines/);
  });
});
