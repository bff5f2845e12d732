import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CodedError } from '../../base/errors.ts';
import { parseConfigFile } from './config-file.ts';
import { parseDuration } from '../../base/quantities.ts';

const fault = (text: string): string => {
  try {
    parseConfigFile(text, 'teleport.yaml');
  } catch (e) {
    if (e instanceof CodedError && e.code === 'misconfigured') return e.message;
    throw e;
  }
  throw new Error('accepted');
};

describe('reading teleport.yaml', () => {
  it('takes an empty file as all defaults', () => {
    const file = parseConfigFile('', 'teleport.yaml');
    expect(file.auth_service.enabled).toBe(true);
    expect(file.auth_service.authentication.second_factor).toBe('otp');
    expect(file.teleport.storage.type).toBe('dir');
  });
  it('takes unquoted off for the second factor', () => {
    const file = parseConfigFile('auth_service:\n  authentication:\n    second_factor: off\n', 'x');
    expect(file.auth_service.authentication.second_factor).toBe('off');
  });
  it('says where the audit goes, and how long it stays where', () => {
    const said = (text: string) =>
      parseConfigFile(`auth_service:\n  audit_archive: file:///a\n${text}`, 'x').auth_service;
    expect(said('').audit_archive).toEqual({ type: 'dir', path: '/a' });
    expect(said('  audit_kept_in_store: 7d\n  audit_retention: 2160h\n')).toMatchObject({
      audit_kept_in_store: 7 * 24 * 3_600_000,
      audit_retention: 90 * 24 * 3_600_000,
    });
    expect(said('  audit_retention: 90d\n').audit_retention).toBe(90 * 24 * 3_600_000);
    expect(said('  audit_retention: never\n').audit_retention).toBe(0);
  });
  it('takes never for machines that stay members', () => {
    const after = (text: string): number => parseConfigFile(text, 'x').auth_service.forget_hosts_after;
    expect(after('auth_service:\n  forget_hosts_after: never\n')).toBe(Number.POSITIVE_INFINITY);
    expect([after('auth_service:\n  forget_hosts_after: 72h\n'), after('')]).toEqual([
      72 * 3_600_000,
      48 * 3_600_000,
    ]);
  });
  it('names file, line and column of broken YAML', () => {
    expect(fault('teleport:\n  nodename: "x\n')).toMatch(/^teleport\.yaml:\d+:\d+: /);
  });
  it('names an unknown key, its line and its section', () => {
    expect(fault('teleport:\n  nodename: a\n  colour: blue\n')).toBe(
      "teleport.yaml:3:3: unrecognized configuration key: 'colour' in teleport",
    );
  });
  it('refuses a key in the wrong section', () => {
    expect(fault('ssh_service:\n  cluster_name: a\n')).toContain("'cluster_name' in ssh_service");
  });
  it.each([
    ["ssh_service: {listen_addr: '35022'}", '1:15: ssh_service.listen_addr'],
    ['ssh_service: {listen_addr: 35022}', '1:15: ssh_service.listen_addr'],
    ['auth_service:\n  public_addr: [a.example.com, 3025]', '2:3: auth_service.public_addr'],
    ['teleport:\n  auth_servers: 3025', '2:3: teleport.auth_servers'],
    ['proxy_service: {plain_ssh_hosts: ["22"]}', '1:17: proxy_service.plain_ssh_hosts'],
    ['teleport:\n  storage: {type: etcd, prefix: /t, peers: ["2379"]}', '2:45: teleport.storage.peers.0'],
  ])('does not take a bare number for a host: %s', (text, place) => {
    expect(fault(`${text}\n`)).toContain(`teleport.yaml:${place}: `);
    expect(fault(`${text}\n`)).toContain('a number alone is not a host');
  });
  it('names the field of a bad value', () => {
    expect(fault('proxy_service:\n  web_listen_addr: ftp://x\n')).toBe(
      "teleport.yaml:2:3: proxy_service.web_listen_addr: 'ftp://x': unsupported scheme: 'ftp'",
    );
  });
  it.each(['PATH', 'A-B', 'LD_PRELOAD'])(
    'names the place of a variable that no client may set: %s',
    (name) => {
      expect(fault(`ssh_service:\n  accept_env:\n  - EDITOR\n  - ${name}\n`)).toMatch(
        /^teleport\.yaml:4:\d+: ssh_service\.accept_env\.1: .*(may never be set|not the name of a variable)/,
      );
    },
  );
  it.each([
    ['teleport:\n  nodename: "a\\nb"\n', /^teleport\.yaml:2:3: teleport\.nodename: a name of letters/],
    ['teleport:\n  nodename: "*"\n', /2:3: teleport\.nodename: /],
    ['teleport:\n  nodename: 127.0.0.1\n', /teleport\.nodename: .*not an address/],
    ['auth_service:\n  cluster_name: "x\\ny *"\n', /2:3: auth_service\.cluster_name: a cluster name has/],
    ['auth_service:\n  public_addr: "*"\n', /2:3: auth_service\.public_addr: "\*:3025": host:port, where/],
    ['proxy_service:\n  public_addr: "x\\nBASH_ENV=y:443"\n', /2:3: proxy_service\.public_addr: /],
    [
      'proxy_service:\n  public_addr: [ok.example, "a;b"]\n',
      /proxy_service\.public_addr.*"a;b:3080": host:port/,
    ],
    ['proxy_service:\n  ssh_public_addr: "*:3023"\n', /2:3: proxy_service\.ssh_public_addr: "\*:3023": /],
    ['proxy_service:\n  ssh_public_addr: 0.0.0.0\n', /ssh_public_addr.*: that is an address to listen on/],
    ['proxy_service:\n  public_addr: "a:0"\n', /public_addr.*"a:0": host:port.*1 to 65535/],
    ['ssh_service:\n  public_addr: "127.1:22"\n', /2:3: ssh_service\.public_addr/],
    [
      'ssh_service:\n  labels:\n    __proto__: x\n',
      /3:5: ssh_service\.labels\.__proto__: "__proto__": a label key has/,
    ],
    ['ssh_service:\n  labels: {"a b": x}\n', /ssh_service\.labels\.a b: "a b": a label key has/],
    ['ssh_service:\n  labels:\n    env: "a\\u202eb"\n', /3:5: ssh_service\.labels\.env: a label value has/],
    [
      'ssh_service:\n  commands: [{name: __proto__, command: [x], period: 1m}]\n',
      /commands\.0\.name: a label key/,
    ],
  ])('refuses what would break lines elsewhere, by place and field: %j', (text, said) => {
    expect(fault(text)).toMatch(said);
  });
  it('takes names and addresses as they are', () => {
    const {
      auth_service: auth,
      proxy_service: proxy,
      ssh_service: ssh,
    } = parseConfigFile(
      'auth_service: {cluster_name: "2024"}\nproxy_service: {public_addr: "Web-1.example.com", ssh_public_addr: "[fd00::1]:3023"}\n' +
        'ssh_service: {labels: {n: 1, "aws:region": "Größe 2"}, public_addr: 10.0.0.1}\n',
      'x',
    );
    expect([
      auth.cluster_name,
      proxy.public_addr,
      proxy.ssh_public_addr,
      ssh.public_addr,
      { ...ssh.labels },
    ]).toEqual([
      '2024',
      [{ host: 'Web-1.example.com', port: 3080 }],
      [{ host: 'fd00::1', port: 3023 }],
      [{ host: '10.0.0.1', port: 3022 }],
      { n: '1', 'aws:region': 'Größe 2' },
    ]);
  });
  it('refuses a duration without its unit', () => {
    expect(fault('ssh_service:\n  commands:\n  - {name: a, command: [b], period: 5}\n')).toContain(
      'time: missing unit in duration "5"',
    );
  });
  it.each([
    [
      'teleport:\n  shutdown_timeout: 99999999999h\n',
      'teleport.yaml:2:3: teleport.shutdown_timeout: "99999999999h" is too long',
    ],
    [
      'teleport:\n  restart_timeout: 8761h\n',
      'teleport.yaml:2:3: teleport.restart_timeout: "8761h" is too long: from 1ms to 8760h',
    ],
    ['auth_service:\n  max_log_lag: 1e9h\n', 'teleport.yaml:2:3: auth_service.max_log_lag: invalid duration'],
    [
      'auth_service:\n  host_certificate_ttl: 30s\n',
      'teleport.yaml:2:3: auth_service.host_certificate_ttl: from 1m to 8760h: certificates of hosts always end',
    ],
    ['auth_service:\n  host_certificate_ttl: never\n', 'from 1m to 8760h: certificates of hosts always end'],
    ['auth_service:\n  host_certificate_ttl: 8761h\n', '"8761h" is too long: from 1ms to 8760h'],
    [
      'auth_service:\n  forget_hosts_after: 59m\n',
      'teleport.yaml:2:3: auth_service.forget_hosts_after: never, or at least 1h',
    ],
    ['auth_service:\n  audit_retention: 90d\n', 'auth_service.audit_retention: needs audit_archive'],
    ['auth_service:\n  audit_kept_in_store: 7d\n', 'auth_service.audit_kept_in_store: needs audit_archive'],
    [
      'auth_service:\n  audit_archive: file:///a\n  audit_retention: 24h\n',
      'auth_service.audit_retention: must be longer than audit_kept_in_store',
    ],
    [
      'auth_service:\n  audit_archive: file:///a\n  audit_kept_in_store: 90d\n  audit_retention: 30d\n',
      'auth_service.audit_retention: must be longer than audit_kept_in_store',
    ],
    [
      'auth_service:\n  audit_archive: file:///a\n  audit_kept_in_store: 500ms\n',
      'auth_service.audit_kept_in_store: at least 1s',
    ],
    [
      'auth_service:\n  audit_archive: gs://b\n',
      'auth_service.audit_archive: "gs://b": gs:// is not in this',
    ],
    ['auth_service:\n  forget_hosts_after: 2161h\n', '"2161h" is too long: from 1ms to 2160h'],
    ['ssh_service:\n  commands:\n  - {name: a, command: [b], period: 1ms}\n', 'period: at least 1s'],
    [
      'teleport:\n  storage:\n    type: etcd\n    peers: [http://a:1]\n    prefix: p\n    insecure: yes\n    dial_timeout: 600h\n',
      'teleport.yaml:7:5: teleport.storage.dial_timeout: "600h" is too long',
    ],
    [
      'teleport:\n  storage:\n    type: dynamodb\n    table_name: ttt\n    poll_stream_period: 999999h\n',
      'teleport.storage.poll_stream_period: "999999h" is too long',
    ],
  ])('refuses a duration that no timer takes, and names its place: %j', (text, said) => {
    expect(fault(text)).toContain(said);
  });
  it.each(['never', 'no', '0', '0s', '0h0m', '0.0s'])('takes %s for no duration at all', (text) => {
    const file = parseConfigFile(`teleport:\n  shutdown_timeout: ${text}\n`, 'x');
    expect(file.teleport.shutdown_timeout).toBe(0);
  });
  it('refuses what this release does not have, by name', () => {
    expect(fault('ssh_service:\n  pam: {enabled: yes}\n')).toContain(
      'ssh_service.pam: pam is not in this release',
    );
  });
  it.each([
    ['ciphers', 'aes128-cbc', 'cipher'],
    ['mac_algos', 'hmac-sha1', 'MAC'],
    ['kex_algos', 'diffie-hellman-group1-sha1', 'KEX'],
  ])('refuses an algorithm of %s that is not served, by name and place', (key, name, kind) => {
    expect(fault(`teleport:\n  ${key}:\n  - ${name}\n`)).toMatch(
      new RegExp(
        `^teleport.yaml:2:3: teleport.${key}: ${kind} algorithm "${name}" is not supported; supported`,
      ),
    );
  });
  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseConfigFile(text, 'x');
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});

describe('reading a duration', () => {
  it.each([
    ['10h', 36_000_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['5', undefined],
    ['h', undefined],
    ['', undefined],
  ])('%s is %s ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('balancers', () => {
  it('send no header unless it is asked for', () => {
    const { proxy_service: proxy, auth_service: auth } = parseConfigFile('', 'x');
    expect([proxy.proxy_protocol, auth.proxy_protocol]).toEqual(['off', 'off']);
    expect([proxy.trusted_balancers, auth.trusted_balancers]).toEqual([[], []]);
  });
  it.each(['on', 'off', 'ssh'])('of a proxy may be listed with %s', (value) => {
    const text = `proxy_service: {proxy_protocol: ${value}, trusted_balancers: [10.0.0.1, fd00::/8]}`;
    expect(parseConfigFile(text, 'x').proxy_service).toMatchObject({
      proxy_protocol: value,
      trusted_balancers: ['10.0.0.1', 'fd00::/8'],
    });
  });
  it('of an auth server may be listed', () => {
    const text = 'auth_service: {proxy_protocol: on, trusted_balancers: [10.0.0.1]}';
    expect(parseConfigFile(text, 'x').auth_service.proxy_protocol).toBe('on');
  });
  it.each([
    [
      'proxy_service:\n  proxy_protocol: on\n',
      "x:2:3: proxy_service.proxy_protocol: 'on' needs trusted_balancers",
    ],
    ['proxy_service:\n  proxy_protocol: ssh\n', "x:2:3: proxy_service.proxy_protocol: 'ssh' needs"],
    [
      'auth_service:\n  proxy_protocol: on\n',
      "x:2:3: auth_service.proxy_protocol: 'on' needs trusted_balancers",
    ],
    [
      'auth_service: {proxy_protocol: ssh}',
      'auth_service.proxy_protocol: bad "proxy_protocol" parameter value: "ssh"',
    ],
    ['proxy_service: {proxy_protocol: yes}', 'bad "proxy_protocol" parameter value: "yes": use on, off, ssh'],
    ['proxy_service: {proxy_protocol: true}', 'bad "proxy_protocol" parameter value: true: use on, off, ssh'],
    [
      'proxy_service: {trusted_balancers: [10.0.0.1, lb.example]}',
      "trusted_balancers.1: 'lb.example' is neither",
    ],
    ['auth_service: {trusted_balancers: [10.0.0.0/33]}', "trusted_balancers.0: '10.0.0.0/33' is neither"],
  ])('are refused: %j', (text, message) => {
    expect(() => parseConfigFile(text, 'x')).toThrow(message);
  });
});
