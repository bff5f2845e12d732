import { afterEach, beforeEach, expect, it } from 'vitest';
import { heartbeat } from '../host/heartbeat.ts';
import { hostCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { findSession } from './find-session.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostId = '00000000-0000-4000-8000-0000000000b1';
const sid = '00000000-0000-4000-8000-000000000001';

it('says on which node a session runs, to whoever has its id, and nothing of whose it is', async () => {
  const host = {
    ...{ hostId, role: 'Node' as const, nodename: 'node-1', address: '10.0.0.1:3022' },
    ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.5.0' },
  };
  const known = [
    { sid, user: 'ann', login: 'root', from: '10.0.0.9', startedAt: '2026-01-01T00:00:00.000Z' },
  ];
  await heartbeat(auth.deps, hostCall('Node', hostId), { host, ttlSeconds: 600, sessions: { known } });
  await auth.deps.views.presence.reached((await auth.deps.presence.flush()) ?? 0);
  const call = userCall('bob', []);
  expect(await findSession(auth.deps, call, { sid })).toEqual({ hostId, nodename: 'node-1' });
  await expect(findSession(auth.deps, call, { sid: sid.replace('1', '2') })).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringMatching(/is not found, or has ended$/) as string,
  });
});
