import { describe, expect, it } from 'vitest';
import { second } from '../../base/time.ts';
import { findHost } from '../../views/hosts.ts';
import { announceSelf, keepAnnounced } from './announce-self.ts';
import { adminCall, authHostId, eventsOf, openTestAuth } from '../testing.ts';
import { listHosts } from './list-hosts.ts';

const self = { hostId: authHostId, nodename: 'auth-1', publicAddresses: [] };
const address = { host: '10.0.0.1', port: 3025 };

describe('an auth server that is known otherwise than it is', () => {
  it('says again what it is, and that another process uses its host id', async () => {
    const auth = await openTestAuth();
    const said = await announceSelf(auth.deps, self, address);
    await announceSelf(auth.deps, { ...self, nodename: 'copy' }, { host: '10.0.0.2', port: 3025 });
    await keepAnnounced(auth.deps, self, { address, said });
    expect(findHost(auth.deps.views.hosts.state(), authHostId, 'Auth')).toMatchObject({
      nodename: 'auth-1',
      reachability: { status: 'direct', address: '10.0.0.1:3025' },
    });
    expect(JSON.stringify(auth.sink.lines)).toMatch(/another process uses the host id.*10\.0\.0\.2:3025/);
    await auth.close();
  });

  it('writes and says nothing while it is known as it is', async () => {
    const auth = await openTestAuth();
    const said = await announceSelf(auth.deps, self, address);
    const before = (await eventsOf(auth.log, 'state')).length;
    await keepAnnounced(auth.deps, self, { address, said });
    expect((await eventsOf(auth.log, 'state')).length).toBe(before);
    expect(JSON.stringify(auth.sink.lines)).not.toContain('another process');
    await auth.close();
  });

  it('says its new address, once, when its machine has another', async () => {
    const auth = await openTestAuth();
    let advertised = '10.0.0.1';
    const moving = { ...self, advertised: (): string => advertised };
    let said = await announceSelf(auth.deps, moving, address);
    const before = (await eventsOf(auth.log, 'state')).length;
    advertised = '10.0.0.7';
    for (let n = 0; n < 3; n++) said = await keepAnnounced(auth.deps, moving, { address, said });
    expect(findHost(auth.deps.views.hosts.state(), authHostId, 'Auth')?.reachability).toEqual({
      status: 'direct',
      address: '10.0.0.7:3025',
    });
    expect((await eventsOf(auth.log, 'state')).length).toBe(before + 1);
    expect(JSON.stringify(auth.sink.lines)).not.toContain('another process');
    await auth.close();
  });
});

describe('an auth server that goes on living', () => {
  it('is listed for as long as it renews that, and not after', async () => {
    const auth = await openTestAuth();
    const listed = async (): Promise<string[]> =>
      (await listHosts(auth.deps, adminCall, { role: 'Auth', labels: {} })).hosts.map((one) => one.nodename);
    let said = await announceSelf(auth.deps, self, address);
    expect(await listed()).toEqual(['auth-1']);
    for (let n = 0; n < 4; n++) {
      auth.world.advance(50 * second);
      said = await keepAnnounced(auth.deps, self, { address, said });
      await auth.deps.presence.flush();
    }
    auth.world.advance(50 * second);
    expect(await listed()).toEqual(['auth-1']);
    auth.world.advance(10 * second);
    expect(await listed()).toEqual([]);
    await auth.close();
  });
});
