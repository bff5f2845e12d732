import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnnouncedKey,
  type AnnouncementExpected,
  announcementEnd,
  type AnnouncementSigner,
  type KeysAnnouncement,
  signAnnouncement,
  type SignedKeysAnnouncement,
  verifyAnnouncement,
} from './authority-announcement.ts';
import { caPinOf } from './ca-pin.ts';
import { generateEd25519 } from './key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from './ssh-key.ts';
import { createCaCertificate } from './x509.ts';

const now = '2026-01-01T00:00:00.000Z';

function newKey(keyId: string): { readonly key: AnnouncedKey; readonly signer: AnnouncementSigner } {
  const ssh = generateEd25519();
  const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return {
    key: {
      keyId,
      sshPublicKey: toAuthorizedKeyLine(publicKeyOf(ssh).blob),
      tlsCertificatePem: createCaCertificate({ clusterName: 'example', privateKey: tls, now }),
    },
    signer: { keyId, ssh, tls },
  };
}

const [old, next, foreign] = [newKey('old'), newKey('next'), newKey('foreign')];
const announcement: KeysAnnouncement = {
  ...{ clusterName: 'example', type: 'host', number: 2, at: now, until: '2026-01-03T00:00:00.000Z' },
  keys: [old.key, next.key],
};
const both = signAnnouncement(announcement, [old.signer, next.signer]);
const nothing = { sshKeys: [], pins: [] };
const expected: AnnouncementExpected = {
  anchors: { ...nothing, sshKeys: [old.key.sshPublicKey] },
  clusterName: 'example',
  type: 'host',
  now,
  after: 0,
};

describe('an announcement of the keys of an authority', () => {
  it('is accepted by whoever trusts one of the keys that signed it, by its SSH key or its pin', () => {
    expect(verifyAnnouncement(both, expected)).toEqual(announcement);
    for (const { key } of [old, next])
      for (const anchors of [
        { ...nothing, sshKeys: [key.sshPublicKey] },
        { ...nothing, pins: [caPinOf(key.tlsCertificatePem)] },
      ])
        expect(verifyAnnouncement(both, { ...expected, anchors }).keys).toHaveLength(2);
  });

  it('convinces nobody who trusts none of them, or only a key that it names and that has not signed', () => {
    const byNew = signAnnouncement(announcement, [next.signer]);
    for (const [signed, anchors] of [
      [both, nothing],
      [both, { ...nothing, sshKeys: [foreign.key.sshPublicKey] }],
      [byNew, expected.anchors],
      [byNew, { ...nothing, pins: [caPinOf(old.key.tlsCertificatePem)] }],
    ] as const)
      expect(() => verifyAnnouncement(signed, { ...expected, anchors })).toThrow(
        'no key that is trusted here',
      );
  });

  it('is not one of a forger who gives his own key the id of a trusted one, or the key with his signature', () => {
    const forged = { ...announcement, keys: [{ ...foreign.key, keyId: 'old' }] };
    const named = { ...announcement, keys: [old.key, foreign.key] };
    for (const signed of [
      signAnnouncement(forged, [{ ...foreign.signer, keyId: 'old' }]),
      signAnnouncement(named, [{ ...foreign.signer, keyId: 'old' }, foreign.signer]),
    ])
      expect(() => verifyAnnouncement(signed, expected)).toThrow('no key that is trusted here');
  });

  it.each([
    ['of another cluster', { clusterName: 'other' }, 'of cluster example'],
    ['of another authority', { type: 'user' }, 'it is of the host authority'],
    ['that is over', { now: '2026-01-03T00:00:00.000Z' }, 'it ended at 2026-01-03'],
    ['that is older than the last one', { after: 3 }, 'it is older (number 2)'],
  ] as const)('%s is refused', (_what, other, why) => {
    expect(() => verifyAnnouncement(both, { ...expected, ...other })).toThrow(why);
  });

  it('is taken again, and without an end when one key is trusted alone', () => {
    expect(verifyAnnouncement(both, { ...expected, after: 2 }).number).toBe(2);
    const alone = { ...announcement, number: 3, until: undefined, keys: [next.key] };
    const anchors = { ...nothing, sshKeys: [next.key.sshPublicKey] };
    const signed = signAnnouncement(alone, [next.signer]);
    const later = { ...expected, anchors, now: '2036-01-01T00:00:00.000Z' };
    expect(verifyAnnouncement(signed, later).keys).toEqual([next.key]);
  });

  it('holds until the moment of its end, which is read from it whoever signed it', () => {
    const justBefore = { ...expected, now: '2026-01-02T23:59:59.999Z' };
    expect(verifyAnnouncement(both, justBefore).number).toBe(2);
    expect(announcementEnd(both)).toEqual({ at: now, until: announcement.until });
    const endless = { ...announcement, until: undefined };
    expect(announcementEnd(signAnnouncement(endless, [])).until).toBeUndefined();
  });

  it.each(['', '{}', 'null', both.text.slice(1)])('is damaged where it reads %j', (text) => {
    const damaged = expect.objectContaining({ code: 'damaged' }) as Error;
    expect(() => announcementEnd({ text })).toThrow(damaged);
    expect(() => verifyAnnouncement({ ...both, text }, expected)).toThrow(damaged);
  });

  it('has from one to eight keys, and a number from 1 on', () => {
    const made = (other: Partial<KeysAnnouncement>) => () =>
      signAnnouncement({ ...announcement, ...other }, []);
    const keys = (count: number) => ({ keys: Array.from({ length: count }, () => old.key) });
    for (const wrong of [keys(0), keys(9), { number: 0 }, { number: 1.5 }, { clusterName: '' }])
      expect(made(wrong)).toThrow();
    for (const right of [keys(1), keys(8), { number: 1 }]) expect(made(right)).not.toThrow();
  });

  it('is vouched for by a key that can be read, though another one in it cannot', () => {
    const odd = { keyId: 'odd', sshPublicKey: 'ssh-odd AAAA', tlsCertificatePem: 'no certificate' };
    const signed = signAnnouncement({ ...announcement, keys: [odd, old.key] }, [
      { ...next.signer, keyId: 'odd' },
      old.signer,
    ]);
    expect(verifyAnnouncement(signed, expected).keys).toHaveLength(2);
    const alone = signAnnouncement({ ...announcement, keys: [odd] }, [{ ...next.signer, keyId: 'odd' }]);
    expect(() => verifyAnnouncement(alone, expected)).toThrow('no key that is trusted here');
  });

  it('is not signed by one half of a key for the other: each anchor has its own signature', () => {
    const [signature] = signAnnouncement(announcement, [old.signer]).signatures;
    const [wrong] = signAnnouncement(announcement, [{ ...foreign.signer, keyId: 'old' }]).signatures;
    if (signature === undefined || wrong === undefined) return expect.unreachable();
    const sshAlone = { ...both, signatures: [{ ...signature, tls: wrong.tls }] };
    const tlsAlone = { ...both, signatures: [{ ...signature, ssh: wrong.ssh }] };
    const byPin = { ...expected, anchors: { ...nothing, pins: [caPinOf(old.key.tlsCertificatePem)] } };
    const refusal = 'no key that is trusted here';
    expect(verifyAnnouncement(sshAlone, expected).number).toBe(2);
    expect(() => verifyAnnouncement(tlsAlone, expected)).toThrow(refusal);
    expect(verifyAnnouncement(tlsAlone, byPin).number).toBe(2);
    expect(() => verifyAnnouncement(sshAlone, byPin)).toThrow(refusal);
  });

  it('is refused when any of it was changed, whatever that makes of it', () => {
    fc.assert(
      fc.property(fc.nat(both.text.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (place, put) => {
        const text = both.text.slice(0, place) + put + both.text.slice(place + 1);
        fc.pre(text !== both.text);
        expect(() => verifyAnnouncement({ ...both, text }, expected)).toThrow(
          expect.objectContaining({ name: 'CodedError' }),
        );
      }),
    );
  });

  it('is refused with any signature that is not of its signer', () => {
    fc.assert(
      fc.property(fc.base64String(), fc.base64String(), (ssh, tls) => {
        const signed: SignedKeysAnnouncement = { ...both, signatures: [{ keyId: 'old', ssh, tls }] };
        expect(() => verifyAnnouncement(signed, expected)).toThrow('no key that is trusted here');
      }),
    );
  });
});
