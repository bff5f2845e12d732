import { expect, it } from 'vitest';
import { kindNamed, kindsOfResources } from './registry.ts';

const at = '2026-01-31T08:00:00.000Z';
const metadata = { name: 'x' };
const host = { hostname: 'web-1', addr: '10.0.0.1:3022', version: '4.5.0' };

/** What a document says as text: its titles and contents. */
const rowOf = (kind: string, document: object): Record<string, string> =>
  Object.fromEntries(kindNamed(kind).columns.map(([title, content]) => [title, content(document as never)]));

/** By kind: a document, and its row under 4.4's titles. */
const rows: Readonly<Record<string, readonly [document: object, row: Record<string, string>]>> = {
  role: [
    {
      metadata,
      spec: {
        allow: {
          logins: ['root', 'ann'],
          node_labels: { env: ['test', 'dev'] },
          rules: [{ resources: ['user', 'role'], verbs: ['list', 'read'] }],
        },
      },
    },
    {
      Role: 'x',
      'Allowed to login as': 'root,ann',
      'Node Labels': 'env: test|dev',
      'Access to resources': 'user,role:list,read',
    },
  ],
  user: [
    { metadata, spec: { roles: ['a', 'b'], traits: { logins: ['root', 'ann'] } } },
    { User: 'x', Roles: 'a,b', Logins: 'root,ann' },
  ],
  token: [
    { metadata: { ...metadata, expires: at }, spec: { roles: ['Node', 'Proxy'] } },
    { Token: 'x', Type: 'Node,Proxy', Expires: at },
  ],
  lock: [
    { metadata, spec: { target: { user: 'ann' }, message: 'left' } },
    { ID: 'x', Target: 'user: ann', Message: 'left', Expires: 'never' },
  ],
  access_request: [
    { metadata, spec: { user: 'ann', roles: ['dba', 'ops'], created: at, state: 2 } },
    { Token: 'x', Requestor: 'ann', Roles: 'dba,ops', 'Created At (UTC)': at, Status: 'APPROVED' },
  ],
  trusted_cluster: [
    {
      metadata,
      spec: {
        enabled: 'yes',
        web_proxy_addr: 'root:3080',
        role_map: [
          { remote: 'dev', local: 'a' },
          { remote: '^x-(.*)$', local: ['b', '$1'] },
        ],
      },
    },
    {
      Name: 'x',
      Enabled: 'true',
      Token: '',
      'Proxy Address': 'root:3080',
      'Reverse Tunnel Address': 'root:3080',
      'Role Map': 'dev -> a; ^x-(.*)$ -> b, $1',
    },
  ],
  remote_cluster: [
    { metadata, spec: { fingerprints: [] }, status: { connection: 'offline' } },
    { Name: 'x', Status: 'offline', 'Last Heartbeat': 'never' },
  ],
  reverse_tunnel: [
    { metadata, spec: { cluster_name: 'x', dial_addrs: ['a:1', 'b:2'] } },
    { 'Cluster Name': 'x', 'Dial Addresses': 'a:1,b:2' },
  ],
  node: [
    { metadata: { name: 'id-1', labels: { env: 'test', os: 'linux' } }, spec: host },
    { Nodename: 'web-1', UUID: 'id-1', Address: '10.0.0.1:3022', Labels: 'env=test,os=linux' },
  ],
  proxy: [
    { metadata: { name: 'id-1' }, spec: host },
    { Nodename: 'web-1', UUID: 'id-1', Address: '10.0.0.1:3022', Labels: '' },
  ],
  auth_server: [
    { metadata: { name: 'id-1', labels: {} }, spec: host },
    { Nodename: 'web-1', UUID: 'id-1', Address: '10.0.0.1:3022', Labels: '' },
  ],
  cert_authority: [
    { metadata, spec: { type: 'host', fingerprints: ['SHA256:abc', 'SHA256:def'] } },
    { 'Cluster Name': 'x', 'CA Type': 'host', Fingerprint: 'SHA256:abc', 'Role Map': 'N/A' },
  ],
  cluster_auth_preference: [
    { metadata, spec: { type: 'local', second_factor: 'otp' } },
    { Type: 'local', 'Second Factor': 'otp' },
  ],
  cluster_config: [
    { metadata, spec: { cluster_id: 'c-1', settings: { a: '1', b: '2' } } },
    { 'Cluster Id': 'c-1', Settings: 'a=1, b=2' },
  ],
  cluster_name: [{ metadata, spec: { cluster_name: 'example' } }, { 'Cluster Name': 'example' }],
};

it.each(Object.entries(rows))('%s is shown in the columns of 4.4', (kind, [document, row]) => {
  expect(rowOf(kind, document)).toEqual(row);
});

it('shows each kind so', () => {
  expect(Object.keys(rows).sort()).toEqual(kindsOfResources.map(({ kind }) => kind).sort());
});

it('shows nothing where a document says nothing', () => {
  expect(Object.values(rowOf('role', { metadata, spec: {} }))).toEqual(['x', '', '', '']);
  expect(Object.values(rowOf('user', { metadata, spec: { roles: ['a'] } }))).toEqual(['x', 'a', '']);
  expect(Object.values(rowOf('lock', { metadata, spec: { target: { role: 'a' } } }))).toEqual([
    'x',
    'role: a',
    '',
    'never',
  ]);
});
