import { describe, expect, it } from 'vitest';
import { formatNodes, formatNodesJson, formatNodesVerbose } from './node-list.ts';
import { formatStatus } from '../login/status-text.ts';

const node = {
  hostId: '6d0f2c1a-0000-4000-8000-000000000001',
  nodename: 'node1',
  address: '127.0.0.1:3022',
  labels: { role: 'db', env: 'dev', zone: 'a' },
};
const tunnelled = {
  ...node,
  address: '',
  reachability: { status: 'tunnel', proxies: ['6d0f2c1a-0000-4000-8000-000000000009'] },
  labels: {},
};
const newer = { ...tunnelled, nodename: 'node3', reachability: { status: 'relay', by: 'x' } };
const bare = { ...node, nodename: 'node2', labels: {} };

describe('listing nodes', () => {
  it('puts two labels into a row and leaves the other cells of the next blank', () => {
    expect(formatNodes([node, bare])).toBe(
      'Node Name Address        Labels           \n' +
        '--------- -------------- ---------------- \n' +
        'node1     127.0.0.1:3022 env=dev, role=db \n' +
        '                         zone=a           \n' +
        'node2     127.0.0.1:3022                  \n',
    );
  });
  it('gives each a row with its id when verbose', () => {
    expect(formatNodesVerbose([node]).split('\n')[2]).toBe(
      'node1     6d0f2c1a-0000-4000-8000-000000000001 127.0.0.1:3022 env=dev,role=db,zone=a ',
    );
  });
  it('speaks JSON in the form of a resource', () => {
    const json: unknown = JSON.parse(formatNodesJson([{ ...node, version: '4.5.0', publicAddress: '' }]));
    expect(json).toEqual([
      {
        kind: 'node',
        version: 'v2',
        metadata: { name: node.hostId, namespace: 'default', labels: node.labels },
        spec: { addr: node.address, public_addr: '', hostname: 'node1', version: '4.5.0' },
      },
    ]);
  });
});

describe('listing nodes that are not reached at an address', () => {
  it('shows how they are reached instead, a tunnel as in the reference', () => {
    const rows = formatNodes([tunnelled, newer]).split('\n').slice(2);
    expect(rows).toEqual(['node1     ⟵ Tunnel        ', 'node3     (relay)         ', '']);
    expect(formatNodesVerbose([newer])).toContain('(relay)');
  });
  it('gives scripts no address, and the kind', () => {
    const json = JSON.parse(
      formatNodesJson([tunnelled, newer].map((one) => ({ ...one, version: '5.0.0', publicAddress: '' }))),
    ) as { spec: object }[];
    expect(json.map(({ spec }) => spec)).toEqual([
      { addr: '', use_tunnel: true, public_addr: '', hostname: 'node1', version: '5.0.0' },
      { addr: '', reachability: 'relay', public_addr: '', hostname: 'node3', version: '5.0.0' },
    ]);
  });
});

describe('showing a login', () => {
  const login = {
    active: true,
    url: 'https://localhost:3080',
    username: 'joe',
    cluster: 'example',
    roles: ['admin'],
    logins: ['root', 'joe'],
    traits: { logins: ['root', 'joe'] },
    validUntilMs: Date.parse('2020-01-01T12:00:00.000Z'),
    extensions: ['permit-port-forwarding', 'permit-pty'],
  };
  const now = Date.parse('2020-01-01T00:00:10.000Z');

  it('is laid out as in the reference', () => {
    expect(formatStatus(login, now, false)).toBe(
      '> Profile URL:  https://localhost:3080\n' +
        '  Logged in as: joe\n' +
        '  Cluster:      example\n' +
        '  Roles:        admin\n' +
        '  Logins:       root, joe\n' +
        '  Valid until:  2020-01-01 12:00:00 +0000 UTC [valid for 12h0m0s]\n' +
        '  Extensions:   permit-port-forwarding, permit-pty\n\n',
    );
  });
  it('marks only the active one, and what has expired, at the very moment', () => {
    const text = formatStatus({ ...login, active: false }, login.validUntilMs, false);
    expect(text).toMatch(/^ {2}Profile URL:/);
    expect(text).toContain('2020-01-01 12:00:00 +0000 UTC [EXPIRED]');
  });
  it('shows traits to who debugs', () => {
    expect(formatStatus(login, now, true)).toContain('admin\n  Traits:       logins: [root joe]\n  Logins:');
  });
});
