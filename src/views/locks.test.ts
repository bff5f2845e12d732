import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import { type LockFact, lockKind } from '../domain/lock.ts';
import type { StreamName } from '../log/event.ts';
import { expiredLocks, isLockKnown, type LocksState, locksInForce, lockOn, locksView } from './locks.ts';
import { project, recordedAt } from './testing.ts';

const now = '2026-01-01T12:00:00.000Z';
const created = (kind: string, name: string, expiresAt?: string): LockFact =>
  ({
    type: 'lock.created',
    data: { target: { kind, name }, message: `${kind} ${name}`, ...(expiresAt && { expiresAt }) },
  }) as LockFact;
const ended: LockFact = { type: 'lock.ended', data: { reason: 'unlocked' } };
const fold = (...facts: readonly (readonly [StreamName, LockFact])[]): LocksState =>
  project(locksView, facts);
const subject = { user: 'joe', roles: ['ops', 'dev'], login: 'root', node: ['h1', 'Web-1'], serial: 7n };

describe('the locks', () => {
  it.each([
    ['user', 'joe', true],
    ['user', 'root', false],
    ['role', 'dev', true],
    ['login', 'root', true],
    ['login', 'joe', false],
    ['node', 'web-1', true],
    ['node', 'h2', false],
    ['serial', '7', true],
    ['serial', '8', false],
    ['session', '7', false],
  ])('of %s %s keep the subject out: %s', (kind, name, expected) => {
    const lock = lockOn(fold(['lock-a', created(kind, name)]), subject, now);
    expect(lock?.message).toBe(expected ? `${kind} ${name}` : undefined);
  });
  it('hold until they are ended or expire, each for itself', () => {
    const end = plusMs(now, 1000);
    const locks = fold(['lock-a', created('user', 'joe', end)], ['lock-b', created('user', 'joe')]);
    expect(lockOn(locks, subject, end)?.id).toBe('b');
    const one = locksView.apply(locks, recordedAt(3, 'lock-b', ended));
    expect(lockOn(one, subject, now)?.id).toBe('a');
    expect(lockOn(one, subject, end)).toBeUndefined();
    expect([isLockKnown(one, 'a'), isLockKnown(one, 'b')]).toEqual([true, false]);
    const none = locksView.apply(one, recordedAt(4, 'lock-a', ended));
    expect([none.known.size, none.byTarget.size, none.unreadable.size]).toEqual([0, 0, 0]);
    expect(locksView.apply(none, recordedAt(5, 'lock-a', ended))).toBe(none);
  });
  it('are listed with who locked, the oldest first, and forgotten when they expired and can be read', () => {
    const locks = fold(
      ['lock-b', created('user', 'joe')],
      ['lock-a', created('login', 'root', plusMs(now, 1000))],
      ['lock-c', created('role', 'dev', plusMs(now, 1000))],
      ['lock-c', { type: 'lock.ended', data: { critical: ['x'] } } as unknown as LockFact],
    );
    expect(locksInForce(locks, now).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(locksInForce(locks, plusMs(now, 1000)).map(({ id, by }) => [id, by])).toEqual([
      ['b', expect.any(String)],
    ]);
    expect(expiredLocks(locks, plusMs(now, 1000))).toEqual(['a']);
  });
  it('are the same through a snapshot, whatever happened', () => {
    const fact = fc.oneof(
      fc.constant(ended),
      fc
        .tuple(fc.constantFrom(...lockKind.options), fc.constantFrom('joe', 'root', '7'))
        .map(([kind, name]) => created(kind, name)),
      fc.constant({ type: 'lock.created', data: { critical: ['x'] } } as unknown as LockFact),
      fc.constant({
        ...created('user', 'joe'),
        data: { ...created('user', 'joe').data, expiresAt: 'soon' },
      } as unknown as LockFact),
    );
    const facts = fc.array(fc.tuple(fc.constantFrom('lock-a', 'lock-b', 'user-a'), fact));
    fc.assert(
      fc.property(facts, (all) => {
        const locks = fold(...(all as [StreamName, LockFact][]));
        const again = locksView.decode(JSON.parse(JSON.stringify(locksView.encode(locks))));
        expect(locksInForce(again, now)).toEqual(locksInForce(locks, now));
        for (const { target, id } of locksInForce(locks, now)) {
          const { kind, name } = target;
          const found = lockOn(
            again,
            kind === 'role'
              ? { roles: [name] }
              : kind === 'node'
                ? { node: [name] }
                : kind === 'serial'
                  ? { serial: /^\d+$/.test(name) ? BigInt(name) : 0n }
                  : { [kind]: name },
            now,
          );
          if (kind !== 'serial' || name === '7') expect(found, id).toBeDefined();
        }
      }),
    );
  });
});
