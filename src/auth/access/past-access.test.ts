import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minute } from '../../base/time.ts';
import { auditStream, hostStream } from '../../domain/streams.ts';
import type { AuditEvent } from '../../domain/audit-event.ts';
import type { Call } from '../../api/server-deps.ts';
import { documentOfRole } from '../../domain/resources/role.ts';
import { type RoleSpec, roleSpec } from '../../domain/role-spec.ts';
import { createLock } from '../lock/create-lock.ts';
import { createResource } from '../resource/create-resource.ts';
import { updateResource } from '../resource/update-resource.ts';
import { adminCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { createUser } from '../user/create-user.ts';
import { deleteUser } from '../user/delete-user.ts';
import { blameAccess } from './blame-access.ts';
import { diffAccess } from './diff-access.ts';
import { explainAccess } from './explain-access.ts';
import { listAccess } from './list-access.ts';
import { replayAccess } from './replay-access.ts';

let auth: TestAuth;
/** Positions of hosts' streams. */
let revisions: Map<string, number>;
beforeEach(async () => {
  auth = await openTestAuth();
  revisions = new Map();
});
afterEach(() => auth.close());

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const by = (requestId: string): Call => ({ ...adminCall, requestId });
const roleOf = (name: string, logins: string[], env: string, denied: string[] = []): RoleSpec =>
  roleSpec.parse({
    name,
    options: {},
    allow: { logins, nodeLabels: { env: [env] } },
    deny: { logins: denied },
  });

/** A minute passes; returns the time at which the next thing happens. */
function next(): string {
  auth.world.advance(minute);
  return auth.world.now();
}
const writeRole = async (requestId: string, spec: RoleSpec, isNew = false): Promise<string> => {
  const at = next();
  const write = isNew ? createResource : updateResource;
  await write(auth.deps, by(requestId), { document: documentOfRole(spec), dryRun: false });
  return at;
};
const addPerson = async (requestId: string, username: string, roles: string[]): Promise<string> => {
  const at = next();
  const traits = { logins: [username] };
  await createUser(auth.deps, by(requestId), { username, roles, traits, inviteTtlSeconds: 3600 });
  return at;
};
/** What a node announces, or that it leaves. */
async function announce(requestId: string, n: number, env: string | undefined): Promise<string> {
  const at = next();
  const stream = hostStream(idOf(n));
  const expected = revisions.get(stream) ?? 0;
  revisions.set(stream, expected + 1);
  const host = {
    ...{ hostId: idOf(n), role: 'Node', nodename: `node-${n}`, address: '192.0.2.7:3022' },
    ...{ publicAddress: '', sshPublicAddress: '', labels: { env: env ?? '' }, version: '1.0.0' },
  };
  const fact =
    env === undefined
      ? { type: 'host.left', data: { role: 'Node' } }
      : { type: expected === 0 ? 'host.joined' : 'host.changed', data: { host } };
  const cause = { at, actor: 'admin', requestId };
  await auth.deps.views.reached(await auth.log.state.append([{ stream, expected, facts: [fact] }], cause));
  return at;
}

/** alice gets into node-1 as root by `dev`, and the role then goes elsewhere. */
async function course(): Promise<readonly string[]> {
  return [
    await announce('r1', 1, 'test'),
    await announce('r2', 2, 'prod'),
    await writeRole('r3', roleOf('dev', ['root'], 'test'), true),
    await addPerson('r4', 'alice', ['dev']),
    await writeRole('r5', roleOf('dev', ['root'], 'prod')),
    next(),
  ];
}

describe('explaining and listing an earlier time', () => {
  it('is by the users, roles and nodes of then', async () => {
    const times = await course();
    const statusAt = async (at: string | undefined) => {
      const { user, nodes } = await explainAccess(auth.deps, adminCall, {
        ...{ user: 'alice', login: 'root', node: 'node-1' },
        at,
      });
      return [user.status, nodes[0]?.logins[0]?.status];
    };
    expect(await statusAt(times[2])).toEqual(['missing', 'denied']);
    expect(await statusAt(times[3])).toEqual(['known', 'allowed']);
    expect(await statusAt(times[4])).toEqual(['known', 'denied']);
    expect(await statusAt(undefined)).toEqual(['known', 'denied']);
    const rows = (await listAccess(auth.deps, adminCall, { at: times[3] })).rows;
    expect(rows.map(({ user, nodename }) => [user, nodename])).toEqual([['alice', 'node-1']]);
    await expect(
      explainAccess(auth.deps, adminCall, { user: 'alice', node: 'node-1', at: times[0] }),
    ).resolves.toBeDefined();
    await expect(listAccess(auth.deps, adminCall, { at: '2030-01-01T00:00:00.000Z' })).rejects.toMatchObject({
      code: 'bad_request',
    });
  });

  it('counts locks that were in force then', async () => {
    await course();
    const { lockId } = await createLock(auth.deps, adminCall, {
      ...{ kind: 'user', target: 'alice', message: '' },
      ttlSeconds: 60,
    });
    const during = auth.world.now();
    next();
    next();
    const reasonsAt = async (at: string) =>
      (await explainAccess(auth.deps, adminCall, { user: 'alice', login: 'root', node: 'node-2', at })).nodes
        .flatMap(({ logins }) => logins)
        .flatMap(({ reasons }) => reasons.map(({ kind }) => kind));
    expect(lockId).toBeDefined();
    expect(await reasonsAt(during)).toEqual(['locked']);
    expect(await reasonsAt(auth.world.now())).toEqual(['allowed']);
  });
});

describe('the difference of two times', () => {
  const diff = async (from: string | undefined, to?: string, more: object = {}) =>
    diffAccess(auth.deps, adminCall, { from: from ?? '', ...(to !== undefined && { to }), ...more });
  const textsOf = ({ rows }: Awaited<ReturnType<typeof diffAccess>>) =>
    rows.map(({ user, nodename, gained, lost, changes }) =>
      [
        `${user} ${nodename} +${gained.join()} -${lost.join()}`,
        ...changes.map(({ by: event }) => event && `${event.type} ${event.resource} ${event.requestId}`),
      ].join(', '),
    );

  it('has who gained and who lost what, each by the change that did it', async () => {
    const times = await course();
    expect(textsOf(await diff(times[0]))).toEqual(['alice node-2 +root -, role.updated role/dev r5']);
    expect(textsOf(await diff(times[0], times[3]))).toEqual([
      'alice node-1 +root -, user.created user/alice r4',
    ]);
    expect(textsOf(await diff(times[3], times[4]))).toEqual([
      'alice node-1 + -root, role.updated role/dev r5',
      'alice node-2 +root -, role.updated role/dev r5',
    ]);
    expect(textsOf(await diff(times[4]))).toEqual([]);
    expect(textsOf(await diff(times[3], times[4], { node: idOf(2) }))).toHaveLength(1);
  });

  it('counts nodes that came, changed and left, people who left, and locks', async () => {
    const [, , , , before] = await course();
    await announce('r6', 3, 'prod');
    await announce('r7', 2, 'test');
    const middle = next();
    await announce('r8', 3, undefined);
    const { lockId } = await createLock(auth.deps, by('r9'), {
      ...{ kind: 'user', target: 'alice', message: '' },
      ttlSeconds: 90,
    });
    const locked = auth.world.now();
    await announce('r10', 2, 'prod');
    expect(textsOf(await diff(before, middle))).toEqual([
      'alice node-2 + -root, host.changed node/00000000-0000-4000-8000-000000000002 r7',
      'alice node-3 +root -, host.joined node/00000000-0000-4000-8000-000000000003 r6',
    ]);
    expect(textsOf(await diff(before))).toEqual([
      `alice node-2 + -root, host.changed node/00000000-0000-4000-8000-000000000002 r7`,
    ]);
    expect(lockId).toBeDefined();
    next();
    next();
    const requestsOf = ({ rows }: Awaited<ReturnType<typeof diff>>) =>
      rows.map(({ changes }) => changes.map(({ by: event }) => event?.requestId));
    expect(requestsOf(await diff(middle))).toEqual([['r10'], ['r8']]);
    // The lock ran out by itself.
    expect(requestsOf(await diff(locked))).toEqual([[undefined]]);
    next();
    await deleteUser(auth.deps, by('r11'), { username: 'alice' });
    expect(textsOf(await diff(middle))).toEqual([
      'alice node-3 + -root, host.left node/00000000-0000-4000-8000-000000000003 r8',
    ]);
  });

  it('comes in pages, which together are what one would have', async () => {
    const [at] = await course();
    for (let n = 10; n < 230; n++) await announce('r', n, 'prod');
    let after: string | undefined;
    const names: string[] = [];
    do {
      const page = await diff(at, undefined, after === undefined ? {} : { after });
      names.push(...page.rows.map(({ nodename }) => nodename));
      after = page.next;
    } while (after !== undefined);
    expect(names).toHaveLength(221);
    expect(new Set(names).size).toBe(221);
  });

  it('is refused for people who may not read events, and for users who were never there', async () => {
    const [at] = await course();
    const role = {
      ...roleOf('x', [], 'a'),
      rules: { allow: [{ resources: ['access'], verbs: ['*'], where: '' }], deny: [] },
    };
    const call = {
      ...userCall('bob', ['x']),
      rules: { username: 'bob', traits: {}, roles: [role satisfies RoleSpec] },
    };
    await expect(diffAccess(auth.deps, call, { from: at ?? '' })).rejects.toMatchObject({
      code: 'access_denied',
    });
    await expect(diff(at, undefined, { user: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(diff(at, undefined, { node: 'nowhere' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(diff(at, at)).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('blaming', () => {
  const blame = async (node: string, login = 'root') => {
    const { nodes } = await blameAccess(auth.deps, adminCall, { user: 'alice', login, node });
    return nodes.map(({ status, grants, since }) => ({
      status,
      grants: grants.map(({ role, by: events }) => [role, ...events.map(({ requestId }) => requestId)]),
      since: since?.by?.requestId,
    }));
  };

  it('has the changes of node, user and role that grant a login, or the one that took it away', async () => {
    await course();
    await writeRole('r6', roleOf('dev', ['root', 'web'], 'prod'));
    expect(await blame('node-2')).toEqual([
      { status: 'allowed', grants: [['dev', 'r2', 'r4', 'r5']], since: 'r5' },
    ]);
    expect(await blame('node-2', 'web')).toEqual([
      { status: 'allowed', grants: [['dev', 'r2', 'r4', 'r6']], since: 'r6' },
    ]);
    expect(await blame('node-1')).toEqual([{ status: 'denied', grants: [], since: 'r5' }]);
    expect(await blame('node-1', 'web')).toEqual([{ status: 'denied', grants: [], since: undefined }]);
  });

  it('knows what was in the way for a while, and nodes that have left', async () => {
    await course();
    await writeRole('r6', roleOf('dev', ['root'], 'prod', ['root']));
    expect(await blame('node-2')).toEqual([{ status: 'denied', grants: [], since: 'r6' }]);
    await writeRole('r7', roleOf('dev', ['root'], 'prod'));
    expect(await blame('node-2')).toEqual([
      { status: 'allowed', grants: [['dev', 'r2', 'r4', 'r5']], since: 'r7' },
    ]);
    await announce('r8', 2, undefined);
    expect(await blame(idOf(2))).toEqual([{ status: 'denied', grants: [], since: 'r8' }]);
    await expect(blame('node-2')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('replaying', () => {
  const uid = (n: number): string => `00000000-0000-4000-9000-${n.toString(16).padStart(12, '0')}`;
  let written = 0;
  async function report(time: string, body: Partial<AuditEvent> & { event: string; code: string }) {
    const event = {
      uid: uid(++written),
      time,
      ei: 0,
      server_id: idOf(1),
      server_hostname: 'node-1',
      ...body,
    };
    const stream = auditStream({ server_id: idOf(1) }, 'a');
    const expected = await auth.log.audit.revision(stream);
    const facts = [{ type: 'audit.recorded', data: { event } }];
    await auth.log.audit.append([{ stream, expected, facts }], { at: time, actor: 'host', requestId: 'r' });
  }
  const session = (time: string | undefined, login = 'root', env = 'test') =>
    report(time ?? '', {
      ...{ event: 'session.start', code: 'T2000I', user: 'alice', login, sid: uid(0) },
      ...{ server_labels: { env } },
    });
  const refusal = (time: string | undefined, login: string, why: string) =>
    report(time ?? '', {
      ...{ event: 'auth', code: 'T3007W', user: 'alice', login },
      error: `user alice@example is not authorized to login as ${login}@example: ${why}`,
    });
  const replay = (from: string | undefined, to: string | undefined, ...roles: RoleSpec[]) =>
    replayAccess(auth.deps, adminCall, {
      roles: roles.map((one) => documentOfRole(one)),
      from: from ?? '',
      to,
    });

  it('has the sessions that other roles would have refused, and the refusals that they would have let in', async () => {
    const times = await course();
    await session(times[3]);
    await refusal(times[3], 'web', 'no role allows the login "web" on this server');
    await refusal(times[3], 'web', 'locked: user alice');
    await session(times[4], 'root', 'prod');
    const other = roleOf('dev', ['web', 'other'], 'test');
    const { rows, sessions, refusals, next: more } = await replay(times[0], undefined, other);
    expect([sessions, refusals, more]).toEqual([2, 1, undefined]);
    expect(
      rows.map(({ status, login, nodename, thenRoles }) => [status, login, nodename, thenRoles]),
    ).toEqual([
      ['refused', 'root', 'node-1', 'allowed'],
      ['let_in', 'web', 'node-1', 'denied'],
      ['refused', 'root', 'node-1', 'allowed'],
    ]);
    // The roles as they are would have refused the first, and nothing is said of a role that nobody had.
    expect((await replay(times[0], undefined, roleOf('dev', ['root'], 'prod'))).rows).toHaveLength(1);
    expect((await replay(times[0], undefined, roleOf('nobodys', ['web'], 'test'))).rows).toEqual([]);
    expect((await replay(times[4], undefined, other)).sessions).toBe(1);
    expect((await replay(times[0], times[4], other)).sessions).toBe(1);
  });

  it('goes by what was at the time of each, in whatever order they came to the log', async () => {
    const times = await course();
    await session(times[4], 'root', 'prod');
    await session(times[2]);
    await session(times[3]);
    const { rows } = await replay(times[0], undefined, roleOf('dev', [], 'test'));
    expect(rows.map(({ time, thenRoles }) => [time, thenRoles])).toEqual([
      [times[2], 'denied'],
      [times[3], 'allowed'],
      [times[4], 'allowed'],
    ]);
  });

  it('is continued where a page ended, and refused for a span without length', async () => {
    const times = await course();
    for (let n = 0; n < 1_002; n++) await session(times[3]);
    const other = documentOfRole(roleOf('dev', [], 'test'));
    const first = await replayAccess(auth.deps, adminCall, { roles: [other], from: times[0] ?? '' });
    expect(first.rows).toHaveLength(1_000);
    const rest = await replayAccess(auth.deps, adminCall, {
      roles: [other],
      from: times[0] ?? '',
      after: first.next,
    });
    expect([rest.rows.length, rest.next]).toEqual([2, undefined]);
    await expect(replay(times[1], times[1], roleOf('dev', [], 'test'))).rejects.toMatchObject({
      code: 'bad_request',
    });
  });
});
