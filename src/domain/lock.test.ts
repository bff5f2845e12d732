import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { plusMs } from '../base/time.ts';
import {
  isInForce,
  lock,
  type LockCommand,
  type LockFact,
  lockKind,
  lockTargetOf,
  lockText,
  targetsOf,
  targetText,
} from './lock.ts';

const now = '2026-01-01T12:00:00.000Z';
const alice = { kind: 'user', name: 'alice' } as const;
const create = (wish: Partial<Extract<LockCommand, { type: 'create-lock' }>> = {}): LockCommand => ({
  ...{ type: 'create-lock', now, target: alice, message: 'laptop lost', ttlMs: 60_000 },
  ...wish,
});
const end: LockCommand = { type: 'end-lock', reason: 'unlocked' };
const after = (...commands: readonly LockCommand[]): readonly LockFact[] =>
  commands.reduce<{ state: typeof lock.initial; facts: readonly LockFact[] }>(
    ({ state, facts }, command) => {
      const more = lock.decide(state, command);
      return { state: more.reduce((at, fact) => lock.evolve(at, fact), state), facts: [...facts, ...more] };
    },
    { state: lock.initial, facts: [] },
  ).facts;

describe('a lock', () => {
  it('has a target, a message and an end, or none', () => {
    const data = { target: alice, message: 'laptop lost' };
    expect(after(create())).toEqual([
      { type: 'lock.created', data: { ...data, expiresAt: plusMs(now, 60_000) } },
    ]);
    expect(after(create({ ttlMs: undefined }))).toEqual([{ type: 'lock.created', data }]);
  });
  it('is ended once, and is never another one afterwards', () => {
    expect(after(create(), end).at(-1)).toEqual({ type: 'lock.ended', data: { reason: 'unlocked' } });
    expect(() => after(end)).toThrow('the lock is not found');
    expect(() => after(create(), end, end)).toThrow('the lock is not found');
    expect(() => after(create(), create())).toThrow('this lock exists');
    expect(() => after(create(), end, create())).toThrow('this lock exists');
  });
  it('that expired is forgotten by whoever comes first', () => {
    const expired: LockCommand = { type: 'end-lock', reason: 'expired' };
    expect(after(create(), expired, expired)).toHaveLength(2);
  });
  it.each([
    [{ ttlMs: 999 }, /^ttl: from 1s to 87600h, asked for 0.999s/],
    [{ ttlMs: Number.NaN }, /^ttl: /],
    [{ ttlMs: 1e15 }, /^ttl: /],
    [{ message: 'a\nb' }, /^message: one line/],
    [{ message: 'x'.repeat(1001) }, /^message: /],
    [{ target: { kind: 'login', name: '-x' } as const }, /not a valid unix login/],
  ])('refuses %j', (wish, why) => {
    expect(() => lock.decide(lock.initial, create(wish))).toThrow(why);
  });
  it.each([{ ttlMs: 1000 }, { ttlMs: 87_600 * 3_600_000 }, { message: '' }, { message: 'x'.repeat(1000) }])(
    'takes %j',
    (wish) => {
      expect(lock.decide(lock.initial, create(wish))).toHaveLength(1);
    },
  );
  it.each([{ ttlMs: 87_600 * 3_600_000 + 1 }, { ttlMs: 1000.5 }, { ttlMs: -1000 }])('refuses %j', (wish) => {
    expect(() => lock.decide(lock.initial, create(wish))).toThrow(/^ttl: /);
  });
  it('that was ended stays ended, whatever is read after that', () => {
    const [made] = after(create());
    if (made === undefined) return expect.unreachable();
    const state = lock.evolve(lock.evolve(lock.initial, made), { type: 'lock.ended', data: { reason: 'x' } });
    expect([state, lock.evolve(state, made)]).toEqual([{ status: 'ended' }, { status: 'ended' }]);
  });
  it('holds until the moment of its end', () => {
    const of = { expiresAt: plusMs(now, 1000) };
    expect([isInForce(of, plusMs(now, 999)), isInForce(of, plusMs(now, 1000)), isInForce({}, now)]).toEqual([
      true,
      false,
      true,
    ]);
  });
  it('reports whom it keeps out, and why, in the words of the releases that have locks', () => {
    expect(lockText({ target: alice, message: 'laptop lost' })).toBe(
      'lock targeting User:"alice" is in force: laptop lost',
    );
    expect(lockText({ target: alice, message: '' })).toBe('lock targeting User:"alice" is in force');
    const titles = lockKind.options.map((kind) => targetText({ kind, name: 'x' }));
    expect(titles).toEqual(['User:"x"', 'Role:"x"', 'Login:"x"', 'Node:"x"', 'Session:"x"', 'Serial:"x"']);
  });
});

describe('what is locked', () => {
  const sid = '0A1B2C3D-0000-4000-8000-00000000000F';
  it.each([
    ['user', ' alice ', 'alice'],
    ['login', 'root', 'root'],
    ['node', 'Web-1.Example', 'web-1.example'],
    ['session', sid, sid.toLowerCase()],
    ['serial', '4611686018427387905', '4611686018427387905'],
    ['serial', '0x4000000000000001', '4611686018427387905'],
    ['serial', '1', '1'],
    ['serial', (2n ** 160n - 1n).toString(), (2n ** 160n - 1n).toString()],
    ['node', 'x'.repeat(253), 'x'.repeat(253)],
  ] as const)('%s %j is compared as %s', (kind, text, name) => {
    expect(lockTargetOf(kind, text)).toEqual({ kind, name });
  });
  it.each([
    ['user', ''],
    ['user', '../x'],
    ['role', 'a b'],
    ['login', 'a/b'],
    ['node', ''],
    ['node', 'a b'],
    ['node', 'x'.repeat(254)],
    ['node', 'a\u202eb'],
    ['session', 'alice'],
    ['serial', '0'],
    ['serial', '0x0'],
    ['serial', '-1'],
    ['serial', '1e3'],
    ['serial', (2n ** 160n).toString()],
  ] as const)('refuses %s %j', (kind, text) => {
    expect(() => lockTargetOf(kind, text)).toThrow(CodedError);
  });
  it('is found again by its own name, whatever was typed', () => {
    fc.assert(
      fc.property(fc.constantFrom(...lockKind.options), fc.string(), (kind, text) => {
        let target;
        try {
          target = lockTargetOf(kind, text);
        } catch (e) {
          expect(e).toMatchObject({ code: 'bad_request' });
          return;
        }
        expect(lockTargetOf(kind, target.name)).toEqual(target);
        const { name } = target;
        const subject =
          kind === 'serial'
            ? { serial: BigInt(name) }
            : { [kind === 'role' ? 'roles' : kind]: kind === 'role' || kind === 'node' ? [name] : name };
        expect(targetsOf(subject)).toEqual([target]);
      }),
    );
  });
  it('is everything that is known of whoever comes, in the form in which it is compared', () => {
    const known = { user: 'Joe', roles: ['a', 'B'], login: 'Root', node: ['Web-1', 'h1'], session: sid };
    expect(targetsOf({ ...known, serial: 7n }).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...['user Joe', 'role a', 'role B', 'login Root', 'node web-1', 'node h1'],
      ...[`session ${sid.toLowerCase()}`, 'serial 7'],
    ]);
  });
  it('is nothing where nothing is known', () => {
    expect(targetsOf({})).toEqual([]);
    expect(targetsOf({ user: '', roles: [], node: [''], serial: 0n })).toEqual([]);
  });
});
