import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caPinOf } from '../../src/pki/ca-pin.ts';
import { generateP256, privateKeyPem } from '../../src/pki/key-pair.ts';
import { selfSignedWebCertificate } from '../../src/pki/web-certificate.ts';
import { run } from '../harness/run-program.ts';
import {
  hostAuthority,
  hostPair,
  leafKeys,
  now,
  strangeAuthority,
  userAuthority,
  userPair,
} from './pki-tls-pairs.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pki-openssl-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});
function save(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
/** What openssl prints; it must succeed. */
async function openssl(...args: string[]): Promise<string> {
  const ran = await run('openssl', args);
  expect(ran, `openssl ${args.join(' ')}`).toMatchObject({ code: 0 });
  return ran.stdout;
}

describe('openssl verify', () => {
  it.each(leafKeys)(
    'accepts host and user certificates for keys on %s, for both ends',
    async (name, generate) => {
      const hostCa = save('host-ca.pem', hostAuthority.pem);
      const userCa = save('user-ca.pem', userAuthority.pem);
      const host = save(`host-${name}.pem`, hostPair(hostAuthority, 'Auth', generate()).cert);
      const user = save(`user-${name}.pem`, userPair(userAuthority, generate()).cert);
      for (const purpose of ['sslserver', 'sslclient']) {
        const strictly = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', purpose, '-CAfile'];
        expect(await openssl(...strictly, hostCa, host)).toContain(': OK');
        expect(await openssl(...strictly, userCa, user)).toContain(': OK');
      }
    },
  );

  it.each(['teleport.cluster.local', 'x.teleport.cluster.local', 'auth.example.com', 'a.apps.example.com'])(
    'finds the host by the name %s',
    async (name) => {
      const ca = save('host-ca.pem', hostAuthority.pem);
      const host = save('host.pem', hostPair().cert);
      await openssl('verify', '-CAfile', ca, '-verify_hostname', name, host);
    },
  );

  it.each(['10.0.0.7', '2001:db8::7'])('finds the host by the address %s', async (address) => {
    const ca = save('host-ca.pem', hostAuthority.pem);
    await openssl('verify', '-CAfile', ca, '-verify_ip', address, save('host.pem', hostPair().cert));
  });

  it('refuses what another authority of the same name signed', async () => {
    const ca = save('host-ca.pem', hostAuthority.pem);
    const forged = save('forged.pem', hostPair(strangeAuthority).cert);
    expect((await run('openssl', ['verify', '-CAfile', ca, forged])).code).not.toBe(0);
    expect(
      (await run('openssl', ['verify', '-CAfile', ca, save('user.pem', userPair().cert)])).code,
    ).not.toBe(0);
  });

  it('refuses a leaf as an authority', async () => {
    const key = generateP256();
    const leaf = hostPair(hostAuthority, 'Auth', key);
    const below = hostPair({ key, pem: leaf.cert });
    const chain = [save('host-ca.pem', hostAuthority.pem), '-untrusted', save('leaf.pem', leaf.cert)];
    const { code, stderr } = await run('openssl', [
      'verify',
      '-CAfile',
      ...chain,
      save('below.pem', below.cert),
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/invalid CA certificate/i);
  });

  it('accepts the web certificate by itself, for its names', async () => {
    const { certificatePem, keyPem } = selfSignedWebCertificate({ hostnames: ['proxy.example.com'], now });
    const path = save('web.pem', certificatePem);
    for (const name of ['proxy.example.com', 'localhost'])
      await openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        path,
        '-verify_hostname',
        name,
        path,
      );
    const ofKey = await openssl('pkey', '-in', save('web.key', keyPem), '-pubout');
    expect(await openssl('x509', '-in', path, '-noout', '-pubkey')).toBe(ofKey);
  });
});

describe('openssl x509', () => {
  const shown = (path: string, ...what: string[]): Promise<string> =>
    openssl(
      'x509',
      '-in',
      path,
      '-noout',
      '-nameopt',
      'sep_multiline,utf8,dump_der,dump_unknown,sname',
      ...what,
    );

  it('reads the subject of a user, in which nothing is repeated or lost', async () => {
    const text = await shown(save('alice.pem', userPair().cert), '-subject');
    const lines = text
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
    expect(lines.filter((line) => line !== '').sort()).toEqual(
      [
        'CN=alice',
        'L=deploy',
        'L=root',
        'O=admin',
        'O=développeur',
        'ST=system:masters',
        // openssl does not know this attribute: PrintableString, 14 bytes, as they are.
        `1.3.9999.1.2=#130E${Buffer.from('system:masters').toString('hex').toUpperCase()}`,
        'postalCode={"logins":["root"],"kubernetes_groups":["system:masters"]}',
        'street=leaf',
      ].sort(),
    );
  });

  it('reads the time, back-dated by a minute', async () => {
    const text = await shown(
      save('alice.pem', userPair().cert),
      '-startdate',
      '-enddate',
      '-dateopt',
      'iso_8601',
    );
    const [from = '', to = ''] = text.match(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g) ?? [];
    const second = Math.floor(Date.parse(now) / 1000) * 1000;
    expect(Date.parse(from)).toBe(second - 60_000);
    expect(Date.parse(to)).toBe(second + 3_600_000);
  });

  it('reads the extensions', async () => {
    const host = await shown(save('host.pem', hostPair().cert), '-text');
    expect(host).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(host).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(host).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    const ca = await shown(save('host-ca.pem', hostAuthority.pem), '-text');
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE/);
    expect(ca).toMatch(/Key Usage: critical\s+Digital Signature, Certificate Sign\n/);
    const idIn = (text: string, of: string): string | undefined =>
      new RegExp(`X509v3 ${of} Key Identifier:\\s+(?:keyid:)?([0-9A-F:]+)`).exec(text)?.[1];
    expect(idIn(ca, 'Subject')).toBeDefined();
    expect(idIn(host, 'Authority')).toBe(idIn(ca, 'Subject'));
  });

  it('has the pin that we show', async () => {
    const publicPem = await openssl(
      'x509',
      '-in',
      save('host-ca.pem', hostAuthority.pem),
      '-noout',
      '-pubkey',
    );
    const path = join(directory, 'host-ca.der');
    await openssl('pkey', '-pubin', '-in', save('host-ca.pub', publicPem), '-outform', 'DER', '-out', path);
    const digest = (await openssl('dgst', '-sha256', '-r', path)).slice(0, 64);
    expect(caPinOf(hostAuthority.pem)).toBe(`sha256:${digest}`);
  });

  it('reads our private keys', async () => {
    for (const [name, generate] of leafKeys) {
      const key = generate();
      const text = await openssl('pkey', '-in', save(`${name}.key`, privateKeyPem(key)));
      expect(createPrivateKey(text).equals(key)).toBe(true);
    }
  });
});
