import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { issueCertificate, type IssueOptions } from '../pki/ssh-certificate.ts';
import { publicKeyOf, signSsh } from '../pki/ssh-key.ts';
import { judgeLogin, LoginRefused, type LoginRequest } from './user-login.ts';

const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const authority = ed25519();
const key = ed25519();
const now = 1_800_000_000n;
const policy = { userAuthorities: [publicKeyOf(authority).blob], now, sourceAddress: '203.0.113.9' };
const challenge = Buffer.from('session id and request');

const certificate = (wish: Partial<IssueOptions> = {}): Buffer =>
  issueCertificate({
    key: publicKeyOf(key),
    ca: authority,
    kind: 'user',
    keyId: 'alice',
    principals: ['root', 'deploy'],
    validAfter: now - 60n,
    validBefore: now + 3600n,
    criticalOptions: { 'source-address': '203.0.113.0/24', 'force-command': 'true' },
    ...wish,
  });
const request = (blob: Buffer, wish: Partial<LoginRequest> = {}): LoginRequest => ({
  username: 'root',
  algorithm: 'ssh-ed25519-cert-v01@openssh.com',
  blob,
  proof: { signed: challenge, signature: signSsh(key, 'ssh-ed25519', challenge) },
  ...wish,
});

describe('judging a login', () => {
  it('answers the certificate of a good one, proven or probed', () => {
    expect(judgeLogin(request(certificate()), policy).keyId).toBe('alice');
    expect(judgeLogin(request(certificate(), { proof: undefined, username: 'deploy' }), policy).keyId).toBe(
      'alice',
    );
  });

  it('lets a certificate begin up to a minute from now, and ends it on time', () => {
    const judge = (wish: Partial<IssueOptions>): unknown => judgeLogin(request(certificate(wish)), policy);
    expect(judge({ validAfter: now + 60n })).toBeDefined();
    expect(judge({ validAfter: 1n, validBefore: now + 1n })).toBeDefined();
    expect(() => judge({ validAfter: now + 61n })).toThrow('not-yet-valid');
    expect(() => judge({ validAfter: 1n, validBefore: now })).toThrow('expired');
  });

  it('refuses every certificate with one bit changed, and says so in no other way', () => {
    const good = certificate();
    fc.assert(
      fc.property(fc.nat(good.length * 8 - 1), (bit) => {
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(() => judgeLogin(request(bad), policy)).toThrow(LoginRefused);
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses every certificate that is cut short', () => {
    const good = certificate();
    for (let n = 0; n < good.length; n++)
      expect(() => judgeLogin(request(good.subarray(0, n)), policy)).toThrow(LoginRefused);
  });

  it('refuses a proof with one bit changed, and a proof for other bytes', () => {
    const good = signSsh(key, 'ssh-ed25519', challenge);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const signature = Buffer.from(good);
      signature.writeUInt8(signature.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const bad = request(certificate(), { proof: { signed: challenge, signature } });
      expect(() => judgeLogin(bad, policy)).toThrow('signature of the login');
    }
    const other = request(certificate(), { proof: { signed: Buffer.from('other'), signature: good } });
    expect(() => judgeLogin(other, policy)).toThrow('signature of the login');
  });

  it('tells plain keys from bad certificates, and names the key id where there is one', () => {
    const plain = request(publicKeyOf(key).blob, { algorithm: 'ssh-ed25519' });
    expect(() => judgeLogin(plain, policy)).toThrow(
      expect.objectContaining({ kind: 'not a certificate', keyId: undefined }),
    );
    const stranger = request(certificate({ ca: ed25519() }));
    expect(() => judgeLogin(stranger, policy)).toThrow(
      expect.objectContaining({ kind: 'bad certificate', keyId: 'alice' }),
    );
  });

  it('refuses what no authority of ours would issue, and says what it is', () => {
    const judged =
      (blob: Buffer, algorithm: string, username = 'root') =>
      () =>
        judgeLogin(request(blob, { algorithm, username }), policy);
    const bad = { kind: 'bad certificate', keyId: 'alice' };
    expect(judged(certificate(), 'ecdsa-sha2-nistp256-cert-v01@openssh.com')).toThrow(
      expect.objectContaining({ ...bad, message: 'the algorithm does not fit the key' }),
    );
    // RSA certificates under the name of their blob sign with SHA-2: that name is known, and does not fit.
    expect(judged(certificate(), 'ssh-rsa-cert-v01@openssh.com')).toThrow(
      'the algorithm does not fit the key',
    );
    expect(judged(certificate(), 'ssh-dss-cert-v01@openssh.com')).toThrow(
      /^(?:algorithm refused: ssh-dss-cert-v01@openssh.com|a certificate is required, .* was offered)$/,
    );
    expect(judged(certificate({ keyId: '' }), 'ssh-ed25519-cert-v01@openssh.com')).toThrow(
      expect.objectContaining({
        kind: 'bad certificate',
        keyId: '',
        message: 'the certificate has no key id',
      }),
    );
    expect(judged(Buffer.from('nothing'), 'ssh-ed25519-cert-v01@openssh.com')).toThrow(
      expect.objectContaining({
        kind: 'bad certificate',
        keyId: undefined,
        message: expect.stringMatching(/^malformed/) as string,
      }),
    );
  });

  it('shows what the peer named in one short line', () => {
    const odd = request(Buffer.alloc(0), { algorithm: `\n\x1b${'x'.repeat(500)}` });
    expect(() => judgeLogin(odd, policy)).toThrow(/^a certificate is required, \?\?x{62} was offered$/);
  });
});
