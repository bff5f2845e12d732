import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder, wayKindOf, wayKinds } from './way.ts';

describe('the order of the ways', () => {
  it('begins with the SSH port', () => {
    expect(inOrder(undefined)).toEqual(['port', 'web', 'web-tls', 'web-upgrade']);
  });
  it('begins with what worked before, and keeps the others', () => {
    fc.assert(
      fc.property(fc.constantFrom(...wayKinds), (kind) => {
        const [first, ...others] = inOrder(kind);
        expect(first).toBe(kind);
        expect(others).toEqual(wayKinds.filter((one) => one !== kind));
      }),
    );
  });
  it('has only what a proxy serves', () => {
    expect(inOrder('web-tls', ['port', 'web'])).toEqual(['port', 'web']);
  });
  it('takes no other text for a way', () => {
    expect([wayKindOf('web'), wayKindOf('other'), wayKindOf(undefined)]).toEqual([
      'web',
      undefined,
      undefined,
    ]);
  });
});
