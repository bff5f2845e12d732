import { describe, expect, it } from 'vitest';
import { guard, whoOf } from './guard.ts';
import type { Caller, Who } from './operation.ts';

const alice = { kind: 'user', username: 'alice', roles: ['admin'], address: '10.0.0.9:1' } as const;
const operator: Caller = { ...alice, administers: true };
const admits = (who: readonly Who[], caller: Caller): boolean => {
  try {
    guard(who, caller, 'it');
    return true;
  } catch {
    return false;
  }
};

describe('an operator', () => {
  it('is a person with an identity that was signed for it, and no other', () => {
    expect([whoOf(operator), whoOf(alice), whoOf({ ...alice, administers: false })]).toEqual([
      'operator',
      'user',
      'user',
    ]);
  });
  it('may what people may and what is open to operators, and nothing that is open to machines alone', () => {
    const rows: readonly Who[][] = [['user'], ['operator'], ['anyone'], ['Admin'], ['Proxy', 'Node', 'Auth']];
    expect(rows.map((who) => admits(who, operator))).toEqual([true, true, true, false, false]);
    expect(rows.map((who) => admits(who, alice))).toEqual([true, false, true, false, false]);
  });
  it('is what a person without such an identity is told to become, where that helps', () => {
    expect(() => {
      guard(['Admin', 'operator'], alice, 'user.list');
    }).toThrow(/^user\.list is not open to user:alice: .*tctl auth sign --user/);
    expect(() => {
      guard(['Admin'], alice, 'authority.export-keys');
    }).toThrow(/^authority\.export-keys is not open to user:alice$/);
  });
});
