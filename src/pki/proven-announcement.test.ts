import { describe, expect, it } from 'vitest';
import { announcedAt, announcing, testAuthorityKey } from './announcement-testing.ts';
import { generateEd25519 } from './key-pair.ts';
import { provenAnnouncement } from './proven-announcement.ts';
import { publicKeyOf, toAuthorizedKeyLine } from './ssh-key.ts';

const [old, next] = [testAuthorityKey('old'), testAuthorityKey('next')];
const expected = { clusterName: 'example', type: 'host', now: announcedAt, after: 0 } as const;

/** The key with another half, which its own signer signs for. */
const having = (key: typeof old, half: Partial<(typeof old)['key']>): typeof old => ({
  ...key,
  key: { ...key.key, ...half },
});

describe('an announcement that every key in it has signed', () => {
  it('is taken with each key in the form in which keys are compared', () => {
    const commented = having(old, { sshPublicKey: `${old.key.sshPublicKey} root@auth-1` });
    const { keys, ...rest } = provenAnnouncement(announcing([commented, next]), expected);
    expect(rest).toMatchObject({ clusterName: 'example', type: 'host', number: 1 });
    expect(keys.map(({ keyId, sshPublicKey }) => [keyId, sshPublicKey.trim()])).toEqual(
      [old, next].map(({ key }) => [key.keyId, key.sshPublicKey]),
    );
  });

  it('is refused when one of them has not signed, or with one of its halves only', () => {
    const foreign = testAuthorityKey('old');
    for (const wrong of [
      announcing([old, next], {}, [old]),
      announcing([old, next], {}, []),
      announcing([having(old, { sshPublicKey: foreign.key.sshPublicKey }), next]),
      announcing([having(old, { tlsCertificatePem: foreign.key.tlsCertificatePem }), next]),
    ])
      expect(() => provenAnnouncement(wrong, expected)).toThrow('no key that is trusted here');
  });

  it('is refused with what is no key of an authority, and says which half', () => {
    const [ssh, tls] = [generateEd25519(), testAuthorityKey('leaf').key.tlsCertificatePem];
    for (const [half, why] of [
      [{ sshPublicKey: 'ssh-odd AAAA' }, 'what is no SSH key'],
      [{ sshPublicKey: 'not a line' }, 'what is no SSH key'],
      [{ tlsCertificatePem: 'no certificate' }, 'certificate'],
      [{ sshPublicKey: toAuthorizedKeyLine(publicKeyOf(ssh).blob) }, 'no key that is trusted here'],
      [{ tlsCertificatePem: tls }, 'no key that is trusted here'],
    ] as const)
      expect(() => provenAnnouncement(announcing([having(old, half)]), expected)).toThrow(why);
  });

  it('is refused as any other is: of another cluster, or older', () => {
    expect(() => provenAnnouncement(announcing([old]), { ...expected, clusterName: 'other' })).toThrow(
      'of cluster example',
    );
    expect(() => provenAnnouncement(announcing([old]), { ...expected, after: 2 })).toThrow('it is older');
  });
});
