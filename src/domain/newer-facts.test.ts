import { describe, expect, it } from 'vitest';
import { minute } from '../base/time.ts';
import type { Fact } from '../log/event.ts';
import future from './fixtures/future.json' with { type: 'json' };
import { checkCritical, unknownCritical } from './critical.ts';
import { host } from './host.ts';
import { role } from './role.ts';
import { upcast } from './upcast.ts';
import { user } from './user.ts';

const facts = (stream: string): readonly Fact[] =>
  future.filter((one) => one.stream === stream).map(({ fact }) => fact as Fact);

describe('what is critical', () => {
  it('is what this release does not know, or cannot read', () => {
    expect(unknownCritical({ x: 1 })).toEqual([]);
    expect(unknownCritical({ critical: [] })).toEqual([]);
    expect(unknownCritical({ critical: ['a', 'b'] })).toEqual(['a', 'b']);
    for (const critical of ['a', null, [1], { a: 1 }]) expect(unknownCritical({ critical })).toHaveLength(1);
  });
  it('stops a writer', () => {
    expect(() => {
      checkCritical({ type: 'user.suspended', data: { critical: ['suspension'] } });
    }).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(() => user.fact.parse({ type: 'user.unlocked', data: { critical: ['x'] } })).toThrow('x');
    expect(user.fact.parse({ type: 'user.unlocked', data: {} })).toEqual({ type: 'user.unlocked', data: {} });
  });
});

describe('a writer of this release', () => {
  it('decides beside what nobody decides by, and beside machines of other kinds', () => {
    for (const stream of ['user-dan', 'host-00000000-0000-4000-8000-0000000000a1'])
      for (const fact of facts(stream))
        expect(() => (stream.startsWith('user') ? user : host).fact.parse(fact)).not.toThrow();
    const [, login] = facts('user-amy');
    expect(user.fact.parse(login)).toMatchObject({ data: { method: 'oidc', otp: { status: 'other' } } });
  });
  it('does not take a spent code for one that was not', () => {
    const data = {
      method: 'local',
      otp: { status: 'matched', step: 'x' },
      addresses: { remote: '', local: '' },
    };
    expect(() => user.fact.parse({ type: 'user.logged_in', data })).toThrow();
  });
  it('does not replace a role of which it cannot read all', () => {
    for (const name of ['described', 'limited', 'careful'])
      expect(() => facts(`role-${name}`).map((fact) => role.fact.parse(fact))).toThrow();
  });
});

describe('an upcast', () => {
  const lock = { until: '2026-01-01T00:20:00.000Z', reason: 'x' };
  it('gives a fact of an earlier release the form of this one', () => {
    const old = { type: 'user.locked', data: lock };
    expect(upcast(old)).toEqual({ type: 'user.locked', data: { ...lock, forMs: 20 * minute } });
    expect(old.data).toEqual(lock);
  });
  it('leaves what has that form, and what it does not know', () => {
    for (const fact of [
      { type: 'user.locked', data: { ...lock, forMs: 5 } },
      { type: 'user.deleted', data: {} },
      { type: 'constructor', data: {} },
    ])
      expect(upcast(fact)).toBe(fact);
  });
});
