import { describe, it } from 'vitest';
import { type AdmitHost, host, type HostFact, type RenewHost } from './host.ts';
import type { HostRecord, SystemRole } from './host-info.ts';
import { scenario } from './testing.ts';

const given = scenario(host);
const hostId = '00000000-0000-4000-8000-0000000000b7';
const [k1, k2] = ['SHA256:one', 'SHA256:two'];
const admit: AdmitHost = {
  type: 'admit-host',
  hostId,
  nodename: 'n7',
  role: 'Node',
  key: k1,
  tokenId: 't1',
  tokenNames: [],
  tokenRoles: ['Node'],
  address: '192.0.2.7:4000',
  recordsUse: false,
  aliveUntil: undefined,
};
const admitted = (key = k1, previousKey = '', role: 'Node' | 'Proxy' = 'Node'): HostFact => ({
  type: 'host.admitted',
  data: { role, nodename: 'n7', key, previousKey, tokenId: 't1', address: '192.0.2.7:4000', names: [] },
});
const info = (role: SystemRole): HostRecord => ({
  hostId,
  role,
  nodename: 'old7',
  address: '192.0.2.1:3022',
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
});
const joined = (role: SystemRole): HostFact => ({ type: 'host.joined', data: { host: info(role) } });
const aliveUntil = '2026-01-01T12:10:00.000Z';

describe('admitting a machine for a token', () => {
  it('certifies an id that nobody has', () => {
    given().when(admit).then(admitted());
  });
  it('changes nothing for a machine that asks again with its key, alive or not', () => {
    given(admitted()).when(admit).then();
    given(admitted(), joined('Node'))
      .when({ ...admit, aliveUntil })
      .then();
  });
  it('says that it was by the token where that does not record it, once for each token', () => {
    const recording = { ...admit, recordsUse: true };
    const byToken = (tokenId: string, previousKey = ''): HostFact => ({
      type: 'host.admitted',
      data: { ...admitted(k1, previousKey).data, tokenId, by: 'token' } as never,
    });
    given().when(recording).then(byToken('t1'));
    given(byToken('t1')).when(recording).then();
    given(byToken('t1'), joined('Node'))
      .when({ ...recording, tokenId: 't2', aliveUntil })
      .then(byToken('t2', k1));
    // Such a token records its own.
    given(byToken('t1'))
      .when({ ...admit, tokenId: 't2' })
      .then();
  });
  it('refuses another key for the id of one that is alive, and says what to do', () => {
    const other = { ...admit, key: k2, aliveUntil };
    const said =
      `"n7" [${hostId}] can not join the cluster with role Node, its host id belongs to "old7" at 192.0.2.1:3022, which has ` +
      `another key and counts as alive until ${aliveUntil}; if this machine is another one, remove host_uuid`;
    given(admitted(), joined('Node')).when(other).refused('access_denied', said);
    // Certified by auth itself: the key is not known.
    given(joined('Node')).when(other).refused('access_denied', said);
  });
  it('lets a machine that is gone come back with another key, and records that', () => {
    given(admitted(), joined('Node'))
      .when({ ...admit, key: k2 })
      .then(admitted(k2, k1));
    given(joined('Node')).when(admit).then(admitted(k1, 'unknown'));
  });
  it.each(['Proxy', 'Auth'] as const)(
    'never gives the id of a %s to one whose token does not admit to that role',
    (role) => {
      given(joined(role)).when(admit).refused('access_denied', `that of a machine in role ${role}`);
    },
  );
  it('knows an id by what it was admitted to, before it was ever seen', () => {
    given(admitted(k1, '', 'Proxy'))
      .when(admit)
      .refused('access_denied', 'in role Proxy');
    const both = { ...admit, tokenRoles: ['Node', 'Proxy'] as const, key: k2 };
    given(admitted(k1, '', 'Proxy'))
      .when(both)
      .then(admitted(k2));
    given(joined('Auth')).when(both).refused('access_denied', 'in role Auth');
  });
});

describe('certifying a machine again that shows its certificate', () => {
  const k3 = 'SHA256:three';
  const renew = (shownKey: string, key: string): RenewHost => ({
    type: 'renew-host',
    ...{ hostId, nodename: 'n7', role: 'Node', key, shownKey, address: '192.0.2.7:4000' },
  });
  const renewed = (key: string, previousKey: string): HostFact => ({
    type: 'host.admitted',
    data: {
      ...{ role: 'Node', nodename: 'n7', key, previousKey, tokenId: 't1', address: '192.0.2.7:4000' },
      ...{ names: [], by: 'renewal' },
    },
  });

  it('records the new key, with the token of its join and what that lets it be called', () => {
    given(admitted()).when(renew(k1, k2)).then(renewed(k2, k1));
    const limited: HostFact = { ...admitted(), data: { ...admitted().data, names: ['web-*'] } as never };
    given(limited)
      .when(renew(k1, k2))
      .then({ ...renewed(k2, k1), data: { ...renewed(k2, k1).data, names: ['web-*'] } as never });
  });
  it('changes nothing for one that asks again because the answer was lost', () => {
    given(admitted(), renewed(k2, k1)).when(renew(k1, k2)).then();
    given(admitted(), renewed(k2, k1)).when(renew(k2, k2)).then();
  });
  it('lets one that lost both answer and new key ask for another', () => {
    given(admitted(), renewed(k2, k1)).when(renew(k1, k3)).then(renewed(k3, k1));
  });
  it('refuses a key of two generations ago, and one in whose place a token brought another', () => {
    const said = `the certificates of "n7" [${hostId}] cannot be renewed in role Node: another key has been certified`;
    given(admitted(), renewed(k2, k1), renewed(k3, k2))
      .when(renew(k1, 'SHA256:four'))
      .refused('access_denied', said);
    given(admitted(), renewed(k2, k1), renewed(k3, k1))
      .when(renew(k2, 'SHA256:four'))
      .refused('access_denied', said);
    given(admitted(), admitted(k2, k1)).when(renew(k1, k3)).refused('access_denied', said);
  });
  it('knows a host that joined before an older release kept its key by the certificate alone', () => {
    const unknown = {
      role: 'Node',
      nodename: 'n7',
      key: k2,
      previousKey: k1,
      tokenId: '',
      by: 'renewal',
    } as const;
    given(joined('Node'))
      .when(renew(k1, k2))
      .then({ type: 'host.admitted', data: { ...unknown, address: '192.0.2.7:4000' } });
  });
});
