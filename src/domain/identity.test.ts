import { describe, expect, it } from 'vitest';
import { identity, type SignedIdentity } from './identity.ts';

const signed: SignedIdentity = {
  ...{
    serial: '7',
    key: 'SHA256:x',
    format: 'openssh',
    expiresAt: '2026-01-01T00:00:00.000Z',
    forced: false,
  },
  holder: { kind: 'host', names: ['db1'] },
};

describe('an identity that is signed', () => {
  it('is on the log by its serial once, and by no serial twice', () => {
    const facts = identity.decide(identity.initial, { type: 'sign-identity', identity: signed });
    expect(facts).toEqual([{ type: 'identity.signed', data: signed }]);
    const after = facts.reduce((at, fact) => identity.evolve(at, fact), identity.initial);
    expect(after).toEqual({ status: 'signed', identity: signed });
    expect(() => identity.decide(after, { type: 'sign-identity', identity: signed })).toThrow(
      expect.objectContaining({ code: 'already_exists', message: 'an identity has the serial 7 already' }),
    );
  });
});
