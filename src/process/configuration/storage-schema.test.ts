import { describe, expect, it } from 'vitest';
import { parseConfigFile } from './config-file.ts';
import {
  directoryLocation,
  keySourceOf,
  previousKeySourcesOf,
  placeOf,
  storageLocationOf,
} from './storage-schema.ts';

const section = (lines: string) =>
  parseConfigFile(`teleport:\n  storage:\n${lines.replaceAll(/^/gm, '    ')}`, 'f').teleport.storage;
const location = (lines: string) => storageLocationOf(section(lines), '/var/lib/teleport/backend');

describe('teleport.storage', () => {
  it('is a local directory when nothing is said', () => {
    expect(storageLocationOf(parseConfigFile('', 'f').teleport.storage, '/d')).toEqual({
      type: 'dir',
      path: '/d',
    });
    expect(location('path: /srv/log')).toEqual({ type: 'dir', path: '/srv/log' });
  });

  it('reads an etcd section with the defaults of 4.4', () => {
    expect(location('type: etcd\npeers: [https://a:2379]\nprefix: teleport/')).toMatchObject({
      type: 'etcd',
      peers: ['https://a:2379'],
      prefix: 'teleport/',
      insecure: false,
      dialTimeoutMs: 30_000,
    });
  });

  it.each([
    ['type: etcd\nprefix: x', 'missing "peers"'],
    ['type: etcd\npeers: [http://a:2379]', 'missing "prefix"'],
    ['type: etcd\npeers: [http://a:2379]\nprefix: ///', 'a prefix has more than slashes'],
    ['type: etcd\npeers: [http://a:2379]\nprefix: 5', 'expected a text'],
    ['type: etcd\npeers: [http://a:2379]\nprefx: t', "unrecognized configuration key: 'prefx'"],
    ['type: etcd\npeers: http://a:2379\nprefix: t', 'expected a list'],
    ['type: etcd\npeers: ["http://a:2379,http://b:2379"]\nprefix: t', 'expected https://host:port'],
    ['type: etcd\npeers: [http://a:23790000]\nprefix: t', 'the port is above 65535'],
    ['peers: [http://a:2379]\nprefix: t', 'belongs to "type: etcd"'],
    ['type: etcd\npeers: [http://a]\nprefix: t\ntls_key_file: k', 'set both tls_key_file and tls_cert_file'],
    ['type: etcd\npeers: [http://a]\nprefix: t\nusername: k', 'set both username and password_file'],
    ['type: etcd\npeers: [http://a]\nprefix: t\ndial_timeout: 30', 'missing unit'],
    ['type: dynamodb', 'table_name is not specified'],
    ['type: dynamodb\ntable_name: t/x', 'a table name has'],
    ['type: dynamodb\ntable_name: abc\naccess_key: k', 'set both access_key and secret_key'],
    ['type: dynamodb\ntable_name: abc\nauto_scaling: yes', 'auto_scaling needs this key'],
    ['type: dynamodb\ntable_name: abc\nread_max_capacity: 5', 'has no meaning without auto_scaling'],
    [
      'type: dynamodb\ntable_name: abc\nbilling_mode: pay_per_request\nread_capacity_units: 5',
      'has no meaning with billing_mode',
    ],
    ['type: dynamodb\ntable_name: abc\naudit_events_uri: dynamodb://x', 'same log as all other state'],
    ['type: mysql', 'unsupported secrets storage type: "mysql"'],
    ['type: firestore', 'not in this release'],
    ['type: etcd\npeers: [http://a]\nprefix: t\npath: /x', "unrecognized configuration key: 'path'"],
    ['witness: [ftp://x]', 'a witness is'],
  ])('refuses %j', (lines, message) => {
    expect(() => section(lines)).toThrow(message);
    expect(() => section(lines)).toThrow(/^f:\d+:\d+: /);
  });

  it('takes capacities for a provisioned table, and pays per request without them', () => {
    const table = 'type: dynamodb\ntable_name: abc';
    expect(location(table)).toMatchObject({ billingMode: 'pay_per_request', autoScaling: undefined });
    expect(location(`${table}\nwrite_capacity_units: 20`)).toMatchObject({
      billingMode: 'provisioned',
      readCapacityUnits: 10,
      writeCapacityUnits: 20,
    });
  });

  it('names who holds the keys, and refuses two', () => {
    expect(keySourceOf(section('path: /x'))).toEqual({ status: 'data-dir' });
    expect(keySourceOf(section('key_file: /k'))).toEqual({ status: 'file', path: '/k' });
    expect(keySourceOf(section('kms_key_id: alias/t'))).toMatchObject({ status: 'kms', keyId: 'alias/t' });
    expect(() => keySourceOf(section('key_file: /k\nkms_key_id: a'))).toThrow('not both');
    expect(() => keySourceOf(section('kms_region: eu'))).toThrow('need kms_key_id');
  });

  it('knows the region of a KMS key: what is said, else the ARN, else the table', () => {
    const table = 'type: dynamodb\ntable_name: abc\nregion: eu-west-1\nkms_key_id: ';
    const arn = 'arn:aws:kms:us-east-2:111122223333:key/k';
    expect(keySourceOf(section(`${table}k`))).toMatchObject({ region: 'eu-west-1' });
    expect(keySourceOf(section(table + arn))).toMatchObject({ region: 'us-east-2' });
    expect(keySourceOf(section(`${table}${arn}\nkms_region: eu-north-1`))).toMatchObject({
      region: 'eu-north-1',
    });
    expect(keySourceOf(section('kms_key_id: k'))).toMatchObject({ region: undefined });
    expect(previousKeySourcesOf(section(`${table}k`.replace('kms', 'previous_kms')))).toMatchObject([
      { region: 'eu-west-1' },
    ]);
  });

  it('calls a place without its secrets', () => {
    const at = location('type: dynamodb\ntable_name: abc\naccess_key: AKIA\nsecret_key: topsecret');
    expect(placeOf(at)).toBe('DynamoDB table abc');
  });

  it('takes dir:/path on a command line', () => {
    expect(directoryLocation('dir:/srv/log')).toEqual({ type: 'dir', path: '/srv/log' });
    expect(directoryLocation('dir:relative')).toBeUndefined();
    expect(directoryLocation('/etc/x.yaml')).toBeUndefined();
  });
});
