import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usualQuotas } from '../../auth/limits/quota-rules.ts';
import { readConfiguration, type Flags } from './configuration.ts';

const base64 = (yaml: string): string => Buffer.from(yaml).toString('base64');
const read = (yaml: string, flags: Flags = {}): ReturnType<typeof readConfiguration> =>
  readConfiguration({ configString: base64(yaml), ...flags }, {});

describe('putting the configuration together', () => {
  it('has the defaults that users of 4.4 know', () => {
    const found = read('');
    expect(found.dataDir).toBe('/var/lib/teleport');
    expect(found.storage).toEqual({ type: 'dir', path: '/var/lib/teleport/backend' });
    expect([...found.roles]).toEqual(['auth', 'proxy', 'node']);
    expect(found.listen).toEqual({
      auth: { host: '0.0.0.0', port: 3025 },
      ssh: { host: '0.0.0.0', port: 3022 },
      proxySsh: { host: '0.0.0.0', port: 3023 },
      web: { host: '0.0.0.0', port: 3080 },
      tunnel: { host: '0.0.0.0', port: 3024 },
      peer: { host: '0.0.0.0', port: 3021 },
    });
    expect(found.web).toBe('tls');
    // Nobody is disconnected by a reload, however long it takes.
    expect(found.shutdownLimitMs).toBe(0);
  });
  it('lets a flag win over the file', () => {
    const file =
      'teleport: {nodename: a, pid_file: /a}\nssh_service: {listen_addr: 10.0.0.1:22, labels: {a: b}}\n';
    const found = read(file, { nodename: 'n', pidFile: '/b', listenIp: '127.0.0.1', labels: 'x=y' });
    expect(found).toMatchObject({
      nodename: 'n',
      pidFile: '/b',
      labels: { x: 'y' },
      listen: { ssh: { host: '127.0.0.1', port: 22 }, auth: { host: '127.0.0.1', port: 3025 } },
    });
  });
  it('restores a store only where it has one', () => {
    expect(read('', { bootstrap: '/all.yaml' }).bootstrap).toBe('/all.yaml');
    expect(read('').bootstrap).toBeUndefined();
    expect(() => read('auth_service: {enabled: no}', { bootstrap: '/all.yaml' })).toThrow(
      /^--bootstrap restores the store of an auth server, and this process has no auth role$/,
    );
  });
  it('takes quotas of one machine, and no others than there are', () => {
    const { quotas } = read('auth_service: {quotas: {audit_events: 500000}}').file.auth_service;
    expect(quotas).toEqual({ ...usualQuotas, audit_events: 500_000 });
    expect(() => read('auth_service: {quotas: {changes: 0}}')).toThrow(/quotas.changes: a number above 0/);
    expect(() => read('auth_service: {quotas: {sessions: 1}}')).toThrow(/unrecognized .*'sessions'/);
  });
  it('refuses labels that auth would not take, with file, line and field', () => {
    const long = 'x'.repeat(1_025);
    expect(() => read(`ssh_service:\n  labels:\n    a: b\n    c: ${long}\n`)).toThrow(
      '--config-string:4:5: ssh_service.labels.c: a label value has up to 1024 characters',
    );
    const many = Array.from({ length: 65 }, (_, n) => `l${n}: x`).join(', ');
    expect(() => read(`ssh_service:\n  labels: {${many}}\n`)).toThrow(
      '--config-string:2:3: ssh_service.labels: 65 labels: a host may have 64',
    );
    const command = `{name: ${'n'.repeat(129)}, command: [x], period: 1m}`;
    expect(() => read(`ssh_service:\n  commands:\n  - ${command}\n`)).toThrow(
      /:3:6: ssh_service.commands.0.name: a label key has 1 to 128 letters/,
    );
    expect(() => read('', { labels: `a=${long}` })).toThrow(/--labels: "x+": a label value has up to 1024/);
  });
  it('takes the algorithms of SSH, and has none that encrypts and MACs unless asked', () => {
    expect(read('').sshAlgorithms.macs.filter((mac) => !mac.includes('-etm@'))).toEqual([]);
    const chosen = read(
      'teleport: {ciphers: [aes256-ctr], mac_algos: [hmac-sha2-256], kex_algos: [curve25519-sha256]}\n',
    );
    expect(chosen.sshAlgorithms).toEqual({
      ciphers: ['aes256-ctr'],
      macs: ['hmac-sha2-256'],
      keyExchanges: ['curve25519-sha256'],
    });
  });
  it('switches off what --roles does not name', () => {
    expect([...read('', { roles: 'auth,node' }).roles]).toEqual(['auth', 'node']);
    expect([...read('proxy_service: {enabled: no}').roles]).toEqual(['auth', 'node']);
  });
  it.each([
    [{ roles: 'cook' }, "unknown role: 'cook'"],
    [{ advertiseIp: '0.0.0.0' }, 'unreachable advertise IP: 0.0.0.0'],
    [{ labels: 'a=[99999999999h:/bin/date]' }, '--labels: "99999999999h" is too long: from 1s to 8760h'],
    [{ labels: 'a=[0s:/bin/date]' }, '--labels: "0s" is too short: from 1s to 8760h'],
    [{ labels: '=' }, "--labels: expected key=value,key2=value2, got '='"],
    [{ diagAddr: 'a:b:c' }, "'a:b:c': expected host or host:port"],
    [{ configString: '%' }, 'should be base64'],
  ])('refuses %o', (flags, message) => {
    expect(() => read('', flags)).toThrow(
      expect.objectContaining({ code: 'misconfigured', message: expect.stringContaining(message) as string }),
    );
  });
  it('reads labels with quotes, and labels that programs give', () => {
    const found = read('', { labels: 'env=prod,name="a, b",up=[1m:/usr/bin/uptime -p]' });
    expect(found.labels).toEqual({ env: 'prod', name: 'a, b' });
    expect(found.commandLabels).toEqual([
      { name: 'up', command: ['/usr/bin/uptime', '-p'], periodSeconds: 60 },
    ]);
  });
  it.each([
    [{ labels: '__proto__=x' }, '--labels: "__proto__": a label key has'],
    [{ labels: 'a b=x' }, '--labels: "a b"'],
    [{ labels: 'a="x\ny"' }, '--labels: "x\\ny": a label value has'],
    [{ nodename: 'a\nb' }, '--nodename is "a\\nb"'],
    [{ nodename: '10.0.0.1' }, '--nodename is "10.0.0.1"'],
    [{ advertiseIp: 'a;b' }, 'advertise_ip (--advertise-ip): "a;b" is neither'],
    [{ advertiseIp: '*' }, '"*" is neither an IP address nor a DNS name'],
  ])('refuses %j, which would break lines elsewhere', (flags, said) => {
    expect(() =>
      readConfiguration({ configString: Buffer.from('').toString('base64'), ...flags }, {}),
    ).toThrow(said);
  });
  it('takes the web port from the flags', () => {
    expect(read('', { insecure: true }).web).toBe('both');
    expect(read('', { insecureNoTls: true }).web).toBe('plain');
  });
  it('takes a whole file from the environment', () => {
    const found = readConfiguration({}, { TELEPORT_CONFIG: base64('teleport: {nodename: e}') });
    expect(found.nodename).toBe('e');
  });

  describe('from a file', () => {
    let dir = '';
    beforeAll(() => {
      dir = mkdtempSync(join(tmpdir(), 'config-'));
    });
    afterAll(() => {
      rmSync(dir, { recursive: true });
    });
    it('names the file in a fault', () => {
      const path = join(dir, 'teleport.yaml');
      writeFileSync(path, 'teleport:\n  nodename: [\n');
      expect(() => readConfiguration({ config: path }, {})).toThrow(path);
    });
    it('refuses a file that is not there, when it was asked for', () => {
      expect(() => readConfiguration({ config: join(dir, 'nope') }, {})).toThrow(
        `path '${join(dir, 'nope')}' does not exist`,
      );
    });
  });
});
