import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { worriesOf } from './worries.ts';

const day = 24 * 3_600_000;
let dir = '';
let options = {
  peers: [],
  prefix: 't',
  insecure: false,
  dialTimeoutMs: 1,
  tlsCertFile: '',
  tlsKeyFile: '',
  passwordFile: '',
};

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'worries-'));
  const [tlsCertFile, tlsKeyFile, passwordFile] = ['c.pem', 'c.key', 'password'].map((one) => join(dir, one));
  if (tlsCertFile === undefined || tlsKeyFile === undefined || passwordFile === undefined) throw new Error();
  options = { ...options, tlsCertFile, tlsKeyFile, passwordFile };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', tlsKeyFile];
  execFileSync('openssl', ['req', '-x509', '-days', '30', '-subj', '/CN=c', '-out', tlsCertFile, ...key], {
    stdio: 'ignore',
  });
  writeFileSync(passwordFile, 'secret\n', { mode: 0o600 });
  chmodSync(tlsKeyFile, 0o640);
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('the files by which etcd is reached', () => {
  it('give no cause for worry while the certificate holds and secrets are kept', () => {
    expect(worriesOf(options, Date.now())).toEqual([]);
  });

  it.each([
    [20, /tls_cert_file: .* expires at .*: replace it and reload/],
    [31, /tls_cert_file: .* expired at .*: the clock of this machine says /],
    [-2, /tls_cert_file: .* is not valid before .*: the clock of this machine says /],
  ])('are told of when the certificate is looked at %d days from now', (days, told) => {
    expect(worriesOf(options, Date.now() + days * day)).toEqual([expect.stringMatching(told)]);
  });

  it('are told of when others can read a secret, with the command that mends it', () => {
    chmodSync(options.passwordFile, 0o644);
    expect(worriesOf(options, Date.now())).toEqual([
      expect.stringMatching(/password_file: .* is open to every user .*\(mode 0644\): chmod o= /),
    ]);
  });
});
