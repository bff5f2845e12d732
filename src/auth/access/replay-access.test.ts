import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../domain/audit-event.ts';
import { documentOfRole } from '../../domain/resources/role.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { auditStream } from '../../domain/streams.ts';
import { adminCall } from '../testing.ts';
import { Chronicle, idOf, roleOf } from './past-access-testing.ts';
import { replayAccess } from './replay-access.ts';

let was: Chronicle;
beforeEach(async () => {
  was = await Chronicle.begin();
});
afterEach(() => was.close());

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
    const expected = await was.auth.log.audit.revision(stream);
    const facts = [{ type: 'audit.recorded', data: { event } }];
    await was.auth.log.audit.append([{ stream, expected, facts }], {
      at: time,
      actor: 'host',
      requestId: 'r',
    });
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
    replayAccess(was.auth.deps, adminCall, {
      roles: roles.map((one) => documentOfRole(one)),
      from: from ?? '',
      to,
    });

  it('has the sessions that other roles would have refused, and the refusals that they would have let in', async () => {
    const times = await was.course();
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
    const times = await was.course();
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
    const times = await was.course();
    for (let n = 0; n < 1_002; n++) await session(times[3]);
    const other = documentOfRole(roleOf('dev', [], 'test'));
    const first = await replayAccess(was.auth.deps, adminCall, { roles: [other], from: times[0] ?? '' });
    expect(first.rows).toHaveLength(1_000);
    const rest = await replayAccess(was.auth.deps, adminCall, {
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
