import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder, wayKindOf, wayKinds, wayText } from './way.ts';

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
  it('never is empty, and each way has another text for messages', () => {
    expect(inOrder(undefined, [])).toEqual(['port']);
    const places = { ssh: { host: 'p', port: 3023 }, web: { host: 'p', port: 3080 } };
    expect(wayKinds.map((kind) => wayText(kind, places))).toEqual([
      'p:3023',
      'SSH at p:3080',
      'TLS at p:3080',
      'https://p:3080/v1/webapi/connect',
    ]);
  });
});
