import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { createLock } from '../lock/create-lock.ts';
import { adminCall, userCall } from '../testing.ts';
import { deleteUser } from '../user/delete-user.ts';
import { blameAccess } from './blame-access.ts';
import { diffAccess } from './diff-access.ts';
import { explainAccess } from './explain-access.ts';
import { listAccess } from './list-access.ts';
import { by, Chronicle, idOf, roleOf } from './past-access-testing.ts';

let was: Chronicle;
beforeEach(async () => {
  was = await Chronicle.begin();
});
afterEach(() => was.close());

describe('explaining and listing an earlier time', () => {
  it('is by the users, roles and nodes of then', async () => {
    const times = await was.course();
    const statusAt = async (at: string | undefined) => {
      const { user, nodes } = await explainAccess(was.auth.deps, adminCall, {
        ...{ user: 'alice', login: 'root', node: 'node-1' },
        at,
      });
      return [user.status, nodes[0]?.logins[0]?.status];
    };
    expect(await statusAt(times[2])).toEqual(['missing', 'denied']);
    expect(await statusAt(times[3])).toEqual(['known', 'allowed']);
    expect(await statusAt(times[4])).toEqual(['known', 'denied']);
    expect(await statusAt(undefined)).toEqual(['known', 'denied']);
    const rows = (await listAccess(was.auth.deps, adminCall, { at: times[3] })).rows;
    expect(rows.map(({ user, nodename }) => [user, nodename])).toEqual([['alice', 'node-1']]);
    await expect(
      explainAccess(was.auth.deps, adminCall, { user: 'alice', node: 'node-1', at: times[0] }),
    ).resolves.toBeDefined();
    await expect(
      listAccess(was.auth.deps, adminCall, { at: '2030-01-01T00:00:00.000Z' }),
    ).rejects.toMatchObject({
      code: 'bad_request',
    });
  });

  it('counts locks that were in force then', async () => {
    await was.course();
    const { lockId } = await createLock(was.auth.deps, adminCall, {
      ...{ kind: 'user', target: 'alice', message: '' },
      ttlSeconds: 60,
    });
    const during = was.auth.world.now();
    was.next();
    was.next();
    const reasonsAt = async (at: string) =>
      (
        await explainAccess(was.auth.deps, adminCall, { user: 'alice', login: 'root', node: 'node-2', at })
      ).nodes
        .flatMap(({ logins }) => logins)
        .flatMap(({ reasons }) => reasons.map(({ kind }) => kind));
    expect(lockId).toBeDefined();
    expect(await reasonsAt(during)).toEqual(['locked']);
    expect(await reasonsAt(was.auth.world.now())).toEqual(['allowed']);
  });
});

describe('the difference of two times', () => {
  const diff = async (from: string | undefined, to?: string, more: object = {}) =>
    diffAccess(was.auth.deps, adminCall, { from: from ?? '', ...(to !== undefined && { to }), ...more });
  const textsOf = ({ rows }: Awaited<ReturnType<typeof diffAccess>>) =>
    rows.map(({ user, nodename, gained, lost, changes }) =>
      [
        `${user} ${nodename} +${gained.join()} -${lost.join()}`,
        ...changes.map(({ by: event }) => event && `${event.type} ${event.resource} ${event.requestId}`),
      ].join(', '),
    );

  it('has who gained and who lost what, each by the change that did it', async () => {
    const times = await was.course();
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
    const [, , , , before] = await was.course();
    await was.announce('r6', 3, 'prod');
    await was.announce('r7', 2, 'test');
    const middle = was.next();
    await was.announce('r8', 3, undefined);
    const { lockId } = await createLock(was.auth.deps, by('r9'), {
      ...{ kind: 'user', target: 'alice', message: '' },
      ttlSeconds: 90,
    });
    const locked = was.auth.world.now();
    await was.announce('r10', 2, 'prod');
    expect(textsOf(await diff(before, middle))).toEqual([
      'alice node-2 + -root, host.changed node/00000000-0000-4000-8000-000000000002 r7',
      'alice node-3 +root -, host.joined node/00000000-0000-4000-8000-000000000003 r6',
    ]);
    expect(textsOf(await diff(before))).toEqual([
      `alice node-2 + -root, host.changed node/00000000-0000-4000-8000-000000000002 r7`,
    ]);
    expect(lockId).toBeDefined();
    was.next();
    was.next();
    const requestsOf = ({ rows }: Awaited<ReturnType<typeof diff>>) =>
      rows.map(({ changes }) => changes.map(({ by: event }) => event?.requestId));
    expect(requestsOf(await diff(middle))).toEqual([['r10'], ['r8']]);
    // The lock ran out by itself.
    expect(requestsOf(await diff(locked))).toEqual([[undefined]]);
    was.next();
    await deleteUser(was.auth.deps, by('r11'), { username: 'alice' });
    expect(textsOf(await diff(middle))).toEqual([
      'alice node-3 + -root, host.left node/00000000-0000-4000-8000-000000000003 r8',
    ]);
  });

  it('comes in pages, which together are what one would have', async () => {
    const [at] = await was.course();
    for (let n = 10; n < 230; n++) await was.announce('r', n, 'prod');
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
    const [at] = await was.course();
    const role = {
      ...roleOf('x', [], 'a'),
      rules: { allow: [{ resources: ['access'], verbs: ['*'], where: '' }], deny: [] },
    };
    const call = {
      ...userCall('bob', ['x']),
      rules: { username: 'bob', traits: {}, roles: [role satisfies RoleSpec] },
    };
    await expect(diffAccess(was.auth.deps, call, { from: at ?? '' })).rejects.toMatchObject({
      code: 'access_denied',
    });
    await expect(diff(at, undefined, { user: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(diff(at, undefined, { node: 'nowhere' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(diff(at, at)).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('blaming', () => {
  const blame = async (node: string, login = 'root') => {
    const { nodes } = await blameAccess(was.auth.deps, adminCall, { user: 'alice', login, node });
    return nodes.map(({ status, grants, since }) => ({
      status,
      grants: grants.map(({ role, by: events }) => [role, ...events.map(({ requestId }) => requestId)]),
      since: since?.by?.requestId,
    }));
  };

  it('has the changes of node, user and role that grant a login, or the one that took it away', async () => {
    await was.course();
    await was.writeRole('r6', roleOf('dev', ['root', 'web'], 'prod'));
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
    await was.course();
    await was.writeRole('r6', roleOf('dev', ['root'], 'prod', ['root']));
    expect(await blame('node-2')).toEqual([{ status: 'denied', grants: [], since: 'r6' }]);
    await was.writeRole('r7', roleOf('dev', ['root'], 'prod'));
    expect(await blame('node-2')).toEqual([
      { status: 'allowed', grants: [['dev', 'r2', 'r4', 'r5']], since: 'r7' },
    ]);
    await was.announce('r8', 2, undefined);
    expect(await blame(idOf(2))).toEqual([{ status: 'denied', grants: [], since: 'r8' }]);
    await expect(blame('node-2')).rejects.toMatchObject({ code: 'not_found' });
  });
});
