import { expect, it } from 'vitest';
import { type InventoryHost, inventoryOf, statusText } from './inventory-count.ts';
import { nodesText } from './nodes.ts';

const host = (wish: Partial<InventoryHost>): InventoryHost => ({
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Node',
  nodename: 'web-1',
  address: '10.0.0.1:3022',
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
  understands: 3,
  lastSeenAt: '2026-01-31T08:00:00.123Z',
  ...wish,
});
const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

it('counts machines by version and role, a machine with several roles once', () => {
  const hosts = [
    host({ hostId: id(1), role: 'Auth' }),
    host({ hostId: id(1), role: 'Proxy' }),
    host({ hostId: id(2) }),
    host({ hostId: id(3), nodename: 'db-1', version: '4.10.0' }),
    host({ hostId: id(4), nodename: 'old', version: '4.4.1', understands: undefined }),
  ];
  const inventory = inventoryOf(hosts);
  expect(inventory.machines).toBe(4);
  expect(inventory.versions).toEqual([
    { version: '4.10.0', machines: 1, roles: { Auth: 0, Proxy: 0, Node: 1 } },
    { version: '4.5.0', machines: 2, roles: { Auth: 1, Proxy: 1, Node: 1 } },
    { version: '4.4.1', machines: 1, roles: { Auth: 0, Proxy: 0, Node: 1 } },
  ]);
  expect(statusText(inventory)).toBe(
    [
      'Version Machines Auth Proxy Node ',
      '------- -------- ---- ----- ---- ',
      '4.10.0  1        0    0     1    ',
      '4.5.0   2        1    1     1    ',
      '4.4.1   1        0    0     1    ',
      '',
      '4 machines are alive',
      'Facts of level 3 are not read by:',
      '  old (Node 4.4.1): level 0',
      '',
    ].join('\n'),
  );
});

it('says that all read the same, and names ten of many that do not', () => {
  expect(statusText(inventoryOf([host({})]))).toMatch(
    /1 machine is alive\nFacts of level 3 are read by all of them\n$/,
  );
  const many = Array.from({ length: 13 }, (_, n) =>
    host({ hostId: id(n), nodename: `n${n}`, understands: n === 0 ? 3 : 1 }),
  );
  expect(statusText(inventoryOf(many))).toMatch(/\n {2}and 2 more\n$/);
});

it('lists nodes with the columns of 4.4 first, then version, last sign of life, and how each is reached', () => {
  const text = nodesText([
    host({ labels: { env: 'prod', app: 'web' } }),
    host({ nodename: 'far', address: '', reachability: { status: 'tunnel', proxies: [] } }),
    host({ nodename: 'new', address: '', reachability: { status: 'relay' } }),
  ]);
  const [titles = '', , direct, tunnel, newer] = text.split('\n');
  expect(titles.split(/ {1,}(?=[A-Z])/).map((one) => one.trim())).toEqual([
    ...['Nodename', 'UUID', 'Address', 'Labels'],
    ...['Version', 'Last seen', 'Reached'],
  ]);
  expect(direct).toMatch(/^web-1 .* 10\.0\.0\.1:3022 app=web,env=prod 4\.5\.0 +2026-01-31T08:00:00Z direct/);
  expect(tunnel).toMatch(/ ⟵ Tunnel .* tunnel *$/);
  expect(newer).toMatch(/ \(relay\) .* relay *$/);
});
