import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { plusMs } from '../../base/time.ts';
import { readWebCertificate, selfSignedPair, type WebCertificate } from './web-certificate-files.ts';

const now = '2026-01-01T00:00:00.000Z';
const day = 24 * 3600 * 1000;
let dir: string;
let sink: ReturnType<typeof recordingSink>;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'web-certificate-'));
  sink = recordingSink();
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const path = (name: string): string => join(dir, name);
const own = (hostnames = ['node1'], at = now): WebCertificate =>
  selfSignedPair(dir, { hostnames, now: at, sink });

describe('a proxy without a configured certificate', () => {
  it('makes one for itself that only its account can read', () => {
    const pair = own(['node1', '10.0.0.1']);
    for (const name of ['webproxy_key.pem', 'webproxy_cert.pem'])
      expect(statSync(path(name)).mode & 0o777).toBe(0o600);
    const certificate = new X509Certificate(pair.certificatePem);
    for (const name of ['node1', 'localhost']) expect(certificate.checkHost(name)).toBe(name);
    for (const ip of ['10.0.0.1', '127.0.0.1']) expect(certificate.checkIP(ip)).toBe(ip);
  });
  it('keeps it over restarts', () => {
    expect(own()).toEqual(own(['node1'], plusMs(now, 300 * day)));
  });
  it('makes another when it runs out within 30 days, or lacks a name', () => {
    const first = own();
    expect(own(['node1'], plusMs(now, 336 * day))).not.toEqual(first);
    const second = own();
    expect(own(['node1', 'proxy.example.com'])).not.toEqual(second);
  });
  it('does not make another at every start, whatever the machine is called', () => {
    const names = ['node 1!', 'node_1', 'NODE2', 'fd00::1', 'x'.repeat(300)];
    expect(own(names)).toEqual(own(names));
  });
  it('makes another, and says so, when a crash left two halves that do not fit', () => {
    own();
    const key = readFileSync(path('webproxy_key.pem'));
    rmSync(path('webproxy_cert.pem'));
    own();
    writeFileSync(path('webproxy_key.pem'), key);
    const pair = own();
    expect(readWebCertificate(path('webproxy_key.pem'), path('webproxy_cert.pem'))).toEqual(pair);
    expect(sink.lines.join()).toContain('does not fit');
  });
});

describe('a configured certificate', () => {
  const refusal = (key: string, certificate: string): unknown => {
    try {
      return readWebCertificate(path(key), path(certificate));
    } catch (e) {
      return e;
    }
  };
  it('is refused by the name of the file that is wrong', () => {
    own();
    writeFileSync(path('empty'), '');
    const at = (message: string): unknown => expect.objectContaining({ code: 'misconfigured', message });
    expect(refusal('nope', 'webproxy_cert.pem')).toEqual(at(`https key does not exist: ${path('nope')}`));
    expect(refusal('webproxy_key.pem', 'nope')).toEqual(
      at(`https certificate does not exist: ${path('nope')}`),
    );
    expect(refusal('empty', 'webproxy_cert.pem')).toMatchObject({
      message: expect.stringMatching(new RegExp(`^${path('empty')} does not hold a private key`)) as string,
    });
    expect(refusal('webproxy_key.pem', 'empty')).toMatchObject({
      message: expect.stringMatching(new RegExp(`^${path('empty')} does not hold a certificate`)) as string,
    });
    expect(refusal('.', 'webproxy_cert.pem')).toMatchObject({ code: 'misconfigured' });
  });
  it('is refused when key and certificate are not of one pair', () => {
    own();
    rmSync(path('webproxy_cert.pem'));
    const key = readFileSync(path('webproxy_key.pem'));
    own();
    writeFileSync(path('other'), key);
    expect(refusal('other', 'webproxy_cert.pem')).toMatchObject({
      code: 'misconfigured',
      message: `the key in ${path('other')} does not fit the certificate in ${path('webproxy_cert.pem')}`,
    });
  });
});
