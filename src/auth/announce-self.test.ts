import { describe, expect, it } from 'vitest';
import { findHost } from '../views/hosts.ts';
import { announceSelf, keepAnnounced } from './announce-self.ts';
import { authHostId, eventsOf, openTestAuth } from './testing.ts';

const self = { hostId: authHostId, nodename: 'auth-1', publicAddresses: [] };
const address = { host: '10.0.0.1', port: 3025 };

describe('an auth server that is known otherwise than it is', () => {
  it('says again what it is, and that another process uses its host id', async () => {
    const auth = await openTestAuth();
    await announceSelf(auth.deps, self, address);
    await announceSelf(auth.deps, { ...self, nodename: 'copy' }, { host: '10.0.0.2', port: 3025 });
    await keepAnnounced(auth.deps, self, address);
    expect(findHost(auth.deps.views.hosts.state(), authHostId, 'Auth')).toMatchObject({
      nodename: 'auth-1',
      address: '10.0.0.1:3025',
    });
    expect(JSON.stringify(auth.sink.lines)).toMatch(/another process uses the host id.*10\.0\.0\.2:3025/);
    await auth.close();
  });

  it('writes and says nothing while it is known as it is', async () => {
    const auth = await openTestAuth();
    await announceSelf(auth.deps, self, address);
    const before = (await eventsOf(auth.log, 'state')).length;
    await keepAnnounced(auth.deps, self, address);
    expect((await eventsOf(auth.log, 'state')).length).toBe(before);
    expect(JSON.stringify(auth.sink.lines)).not.toContain('another process');
    await auth.close();
  });
});
