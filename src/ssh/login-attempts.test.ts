import type { AuthContext } from 'ssh2';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { publicKeyOf, signSsh } from '../pki/ssh-key.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { LoginAttempts, type LoginAttemptsOptions } from './login-attempts.ts';
import type { AuthFailure } from './server-types.ts';
import { testNow, userAuthority } from './testing.ts';

const address = { host: '192.0.2.1', port: 1 };
const peer = {
  ...{ remoteAddress: address, socketAddress: address, localAddress: address, claimedAddress: undefined },
};
const key = generateEd25519();
const certificate = (keyId = 'alice', ca = userAuthority): Buffer =>
  issueCertificate({
    ...{ key: publicKeyOf(key), ca, kind: 'user', keyId, principals: ['root'], serial: 1n },
    ...{ validAfter: testNow - 60n, validBefore: testNow + 60n, extensions: {} },
  });
const stranger = generateEd25519();
const signed = Buffer.from('what is signed');

/** One request of a client, and what it was told. */
function request(what: {
  method?: string;
  username?: string;
  algorithm?: string;
  blob?: Buffer;
  proof?: Buffer | 'none';
}) {
  const { method = 'publickey', username = 'root', proof = signSsh(key, 'ssh-ed25519', signed) } = what;
  const told: string[] = [];
  const ctx = {
    ...{ method, username },
    key: { algo: what.algorithm ?? 'ssh-ed25519-cert-v01@openssh.com', data: what.blob ?? certificate() },
    ...(proof === 'none' ? {} : { signature: proof, blob: signed }),
    accept: () => told.push('accepted'),
    reject: (methods: string[]) => told.push(`refused: ${methods.join(',')}`),
  } as unknown as AuthContext;
  return { ctx, told };
}
const plainKey = { algorithm: 'ssh-ed25519', blob: publicKeyOf(key).blob };

function attempts(wish: Partial<LoginAttemptsOptions> = {}) {
  const failures: AuthFailure[] = [];
  const faults: unknown[] = [];
  let givenUp = 0;
  const logins = new LoginAttempts({
    ...{ peer, maxFailures: 3, userAuthorities: () => [publicKeyOf(userAuthority).blob] },
    ...{ now: () => testNow, authorize: () => undefined },
    onAuthFailure: (failure) => failures.push(failure),
    onFault: (e) => faults.push(e),
    giveUp: () => (givenUp += 1),
    ...wish,
  });
  const judge = (what: Parameters<typeof request>[0]): string => {
    const { ctx, told } = request(what);
    logins.judge(ctx);
    return told.join(' and ');
  };
  return { logins, judge, failures, faults, givenUp: () => givenUp };
}

describe('a certificate', () => {
  it('that is shown and proven logs in', () => {
    const asked: unknown[] = [];
    const { logins, judge, failures } = attempts({
      authorize: (shown, username, from) => asked.push([shown.keyId, username, from]),
    });
    expect(judge({})).toBe('accepted');
    expect(logins.accepted).toMatchObject({ username: 'root', certificate: { keyId: 'alice' } });
    expect(asked).toEqual([['alice', 'root', peer]]);
    logins.ended();
    expect(failures).toEqual([]);
  });

  it('that is only shown is no login, and nobody is asked whether it may', () => {
    const { logins, judge } = attempts({
      authorize: () => {
        throw new CodedError('access_denied', 'not here');
      },
    });
    expect(judge({ proof: 'none' })).toBe('accepted');
    expect(logins.accepted).toBeUndefined();
  });

  it('that may not enter is refused, with the reason and its key id on record', () => {
    const { logins, judge, failures, faults } = attempts({
      authorize: () => {
        throw new CodedError('access_denied', 'not here');
      },
    });
    expect(judge({})).toBe('refused: publickey');
    expect(logins.accepted).toBeUndefined();
    expect(failures).toEqual([{ username: 'root', keyId: 'alice', reason: 'not here', peer }]);
    expect(faults).toEqual([]);
  });

  it('is refused by a bug, which is reported as one', () => {
    const bug = new Error('no such field');
    const { logins, judge, failures, faults } = attempts({
      authorize: () => {
        throw bug;
      },
    });
    expect(judge({})).toBe('refused: publickey');
    expect([logins.accepted, faults]).toEqual([undefined, [bug]]);
    expect(failures).toEqual([
      { username: 'root', keyId: undefined, reason: 'internal error: no such field', peer },
    ]);
  });

  it('is on record once for each different reason', () => {
    const { judge, failures } = attempts({ maxFailures: 10 });
    for (let n = 0; n < 2; n++) {
      judge({ blob: certificate('alice', stranger) });
      judge({ blob: certificate('bob', stranger) });
      judge({ username: 'toor' });
    }
    expect(failures.map(({ username, keyId }) => [username, keyId])).toEqual([
      ['root', 'alice'],
      ['root', 'bob'],
      ['toor', 'alice'],
    ]);
  });

  it('is refused by the address of its client', () => {
    const { judge } = attempts({ peer: { ...peer, remoteAddress: { host: '203.0.113.1', port: 1 } } });
    const blob = issueCertificate({
      ...{ key: publicKeyOf(key), ca: userAuthority, kind: 'user', keyId: 'alice', principals: ['root'] },
      ...{ serial: 1n, validAfter: testNow - 60n, validBefore: testNow + 60n, extensions: {} },
      criticalOptions: { 'source-address': '192.0.2.0/24' },
    });
    expect(judge({ blob })).toBe('refused: publickey');
    expect(attempts().judge({ blob })).toBe('accepted');
  });
});

describe('what is not a certificate', () => {
  it('is on record once, when nobody has logged in by the end: the first that was shown', () => {
    const { logins, judge, failures } = attempts();
    expect(judge({ method: 'none' })).toBe('refused: publickey');
    expect(judge(plainKey)).toBe('refused: publickey');
    expect(judge({ method: 'password' })).toBe('refused: publickey');
    expect(failures).toEqual([]);
    logins.ended();
    expect(failures).toEqual([
      {
        ...{ username: 'root', keyId: undefined, peer },
        reason: 'a certificate is required, ssh-ed25519 was offered',
      },
    ]);
  });

  it('is not on record of who only asked how to log in', () => {
    const { logins, judge, failures } = attempts();
    judge({ method: 'none' });
    logins.ended();
    expect(failures).toEqual([]);
  });

  it('is not on record of who logs in, or showed a certificate that was refused', () => {
    const well = attempts();
    well.judge(plainKey);
    well.judge({});
    well.logins.ended();
    expect(well.failures).toEqual([]);
    const badly = attempts();
    badly.judge(plainKey);
    badly.judge({ blob: certificate('alice', stranger) });
    badly.logins.ended();
    expect(badly.failures).toEqual([expect.objectContaining({ keyId: 'alice' })]);
  });

  it('names the method where it was another', () => {
    const { logins, judge, failures } = attempts();
    judge({ method: 'password' });
    logins.ended();
    expect(failures[0]?.reason).toBe('a certificate is required, password was offered');
  });
});

describe('too many', () => {
  it('certificates that are refused end the connection, and the last is not answered', () => {
    const { judge, givenUp } = attempts();
    const blob = certificate('alice', stranger);
    expect([judge({ blob }), judge({ blob }), givenUp()]).toEqual([
      'refused: publickey',
      'refused: publickey',
      0,
    ]);
    expect([judge({ blob }), givenUp()]).toEqual(['', 1]);
  });

  it('offers that are harmless one by one end it, too', () => {
    const { judge, givenUp } = attempts();
    for (let n = 0; n < 63; n++) expect(judge(plainKey)).toBe('refused: publickey');
    expect(givenUp()).toBe(0);
    expect([judge(plainKey), givenUp()]).toEqual(['', 1]);
  });
});

it('what a client names is cut before it is put on record', () => {
  const { judge, failures } = attempts();
  judge({ blob: certificate('x'.repeat(5_000), stranger), username: 'y'.repeat(5_000) });
  const [failure] = failures;
  expect(failure?.username.length).toBeLessThan(500);
  expect(failure?.keyId?.length).toBeLessThan(500);
});
