import { describe, expect, it } from 'vitest';
import { violations } from './checker.ts';
import {
  type Answer,
  type Asked,
  type History,
  type Operation,
  type Restore,
  type Stored,
} from './history.ts';

/** An operation of `worker` from `invoked` to `ended`. */
const did = (
  worker: string,
  [invoked, ended]: readonly [number, number],
  asked: Asked,
  rest: Partial<Operation> = {},
): Operation => ({ worker, invoked, ended, asked, outcome: 'ok', ...rest });

const append = (
  worker: string,
  time: readonly [number, number],
  value: string,
  rest: Partial<Operation> = {},
) => did(worker, time, { kind: 'append', registers: ['register-1'], value }, rest);
const at = (...revisions: number[]): { answer: Answer } => ({ answer: { revisions } });
const read = (worker: string, time: readonly [number, number], ...values: string[]): Operation =>
  did(worker, time, { kind: 'read', register: 'register-1' }, { answer: { values } });
const unseal = (time: readonly [number, number], secret: NonNullable<Answer['secret']>): Operation =>
  did('b', time, { kind: 'unseal', secret: 'secret-1' }, { answer: { secret } });
const seal = did('a', [1, 2], { kind: 'seal', secret: 'secret-1', value: 's' }, at(1));
const remove = did('a', [3, 4], { kind: 'delete', secret: 'secret-1', by: 'd' }, at(2));
const erase = did('a', [5, 6], { kind: 'erase', secret: 'secret-1' });
const redeem = (worker: string, time: readonly [number, number], by: string, rest: Partial<Operation> = {}) =>
  did(worker, time, { kind: 'redeem', token: 'token-1', by }, rest);
const mint = did('a', [1, 2], { kind: 'mint', token: 'token-1' }, at(1));

/** The log at the end, as `stream value` each. */
function log(...lines: string[]): Stored[] {
  const revisions = new Map<string, number>();
  return lines.map((line, i) => {
    const [stream = '', value = ''] = line.split(' ');
    const revision = (revisions.get(stream) ?? 0) + 1;
    revisions.set(stream, revision);
    return { position: i + 1, id: `id-${i + 1}`, stream, revision, value };
  });
}
const check = (operations: readonly Operation[], stored: readonly Stored[], rest: Partial<History> = {}) =>
  violations({ operations, stored, beats: {}, restores: [], sessions: [], ...rest });

const values = (...list: string[]): Stored[] => log(...list.map((value) => `register-1 ${value}`));

describe('the checker of a history', () => {
  it('finds nothing where the log kept its word', () => {
    const operations = [
      append('a', [1, 2], 'x', at(1)),
      append('b', [1, 4], 'y', at(2)),
      append('c', [3, Infinity], 'z', { outcome: 'unknown' }),
      append('c', [3, 4], 'w', { outcome: 'failed', code: 'conflict' }),
      read('b', [3, 5], 'x'),
      read('b', [5, 6], 'x', 'y'),
    ];
    expect(check(operations, values('x', 'y'))).toEqual([]);
    expect(check(operations, values('x', 'y', 'z'))).toEqual([]);
  });

  it.each<[string, Operation[], Stored[], RegExp]>([
    ['lost', [append('a', [1, 2], 'x', at(1))], [], /x in register-1 was acknowledged by a and is lost/],
    ['doubled', [append('a', [1, 2], 'x', at(1))], values('x', 'x'), /stored twice/],
    ['invented', [], values('x'), /nobody asked/],
    [
      'refused and stored',
      [append('a', [1, 2], 'x', { outcome: 'failed', code: 'no_space' })],
      values('x'),
      /refused \(no_space\) and is stored/,
    ],
    [
      'out of order',
      [append('a', [1, 2], 'x', at(1)), append('b', [3, 4], 'y', at(2))],
      values('y', 'x'),
      /y in register-1 comes before x/,
    ],
    ['a stale read', [append('a', [1, 2], 'x', at(1)), read('b', [3, 4])], values('x'), /without x, which a/],
    [
      'a read behind another',
      [append('a', [1, 9], 'x', at(1)), read('b', [2, 3], 'x'), read('c', [4, 5])],
      values('x'),
      /c read register-1 without x, which b/,
    ],
    [
      'a read of another order',
      [append('a', [1, 9], 'x', at(1)), append('b', [1, 9], 'y', at(2)), read('b', [2, 3], 'y')],
      values('x', 'y'),
      /read y at 1/,
    ],
    [
      'torn',
      [
        did(
          'a',
          [1, Infinity],
          { kind: 'append', registers: ['register-1', 'register-2'], value: 'x' },
          { outcome: 'unknown' },
        ),
      ],
      values('x'),
      /x was stored in part/,
    ],
    [
      'a hole',
      [],
      [{ position: 2, id: 'i', stream: 'fence-state', revision: 1, value: '' }],
      /position 2, not 1/,
    ],
    ['an error without a code', [append('a', [1, 2], 'x', { outcome: 'failed', code: 'bug' })], [], /bug/],
  ])('finds what is %s', (_what, operations, stored, expected) => {
    expect(check(operations, stored)).toEqual([expect.stringMatching(expected)]);
  });

  it('finds a token that was used twice, and one that was refused though nobody used it', () => {
    const twice = [mint, redeem('a', [3, 4], 'm', at(2)), redeem('b', [5, 6], 'n', at(2))];
    expect(check(twice, log('token-1 created', 'token-1 m', 'token-1 n'))).toEqual([
      'token-1 was used 2 times',
      'token-1 admitted m and n',
    ]);
    const refused = redeem('b', [5, 6], 'n', { outcome: 'failed', code: 'access_denied' });
    expect(check([mint, refused], log('token-1 created'))).toEqual([
      expect.stringContaining('nobody used it'),
    ]);
    expect(
      check([mint, redeem('a', [3, 9], 'm', at(2)), refused], log('token-1 created', 'token-1 m')),
    ).toEqual([]);
  });

  it('finds secrets that come back, that are forgotten, and that are lost', () => {
    const stored = log('secret-1 sealed', 'secret-1 d');
    expect(check([seal, remove, erase, unseal([7, 8], { stored: true, deleted: true })], stored)).toEqual([]);
    expect(
      check([seal, remove, erase, unseal([7, 8], { stored: true, deleted: true, opened: 's' })], stored),
    ).toEqual(['b opened secret-1, whose key was destroyed']);
    expect(
      check([seal, remove, unseal([5, 6], { stored: true, deleted: false, opened: 's' })], stored),
    ).toEqual(['b calls secret-1 live, which was deleted']);
    const live = log('secret-1 sealed');
    expect(check([seal, unseal([5, 6], { stored: true, deleted: false })], live)).toEqual([
      'b cannot open secret-1, which nobody deleted',
    ]);
    expect(check([seal, unseal([5, 6], { stored: false, deleted: false })], live)).toEqual([
      'b does not know secret-1, which was stored',
    ]);
    expect(check([seal, unseal([5, 6], { stored: true, deleted: false, opened: 't' })], live)).toEqual([
      'b opened secret-1 as t',
    ]);
  });

  it('finds beats that are lost or doubled, and followers that were told wrongly', () => {
    const beat = (worker: string): Operation =>
      did(worker, [1, 2], { kind: 'beat', stream: 'beat-1' }, at(2));
    expect(check([beat('a')], [], { beats: { 'beat-1': 2 } })).toEqual([]);
    expect(check([beat('a'), beat('b')], [], { beats: { 'beat-1': 2 } })).toEqual([
      'beat-1 2 was acknowledged twice: by a and b',
    ]);
    expect(check([beat('a')], [], { beats: { 'beat-1': 1 } })).toEqual([
      'beat-1 2 was acknowledged by a and is lost',
    ]);
    const stored = log('fence-state x', 'fence-state y', 'fence-state z');
    const heard = (...events: [number, string][]): Partial<History> => ({
      sessions: [
        {
          worker: 'a',
          began: 0,
          events: events.map(([position, id]) => ({
            stream: 'fence-state',
            value: '',
            revision: 1,
            position,
            id,
            at: 1,
          })),
        },
      ],
    });
    expect(check([], stored, heard([1, 'id-1'], [2, 'id-2']))).toEqual([]);
    expect(check([], stored, heard([1, 'id-1'], [3, 'id-3']))).toEqual([
      expect.stringContaining('told 3 after 1'),
    ]);
    expect(check([], stored, heard([1, 'id-1'], [2, 'id-3']))).toEqual([
      expect.stringContaining('told id-3 at 2'),
    ]);
  });
});

describe('the checker of a history in which the store went back', () => {
  const restore = (rest: Partial<Restore> = {}): { restores: Restore[] } => ({
    restores: [{ savedAt: 10, began: 20, ended: 30, survivors: ['a'], silent: [], ...rest }],
  });
  const byDead = append('b', [11, 12], 'x', at(1));

  it('excuses what nobody who is left knew, and nothing else', () => {
    expect(check([byDead], [], restore())).toEqual([]);
    expect(check([byDead, read('a', [13, 14], 'x')], [], restore())).toEqual([
      expect.stringContaining('was acknowledged by b and is lost'),
      'a read x at 1 of register-1, where nothing is',
    ]);
    expect(check([append('a', [11, 12], 'x', at(1))], [], restore())).toEqual([
      expect.stringContaining('is lost'),
    ]);
    expect(check([append('b', [31, 32], 'x', at(1))], [], restore())).toEqual([
      expect.stringContaining('is lost'),
    ]);
  });

  it('excuses what another has taken the place of', () => {
    const known = append('a', [11, 12], 'x', at(1));
    const other = append('c', [21, 22], 'y', at(1));
    expect(check([known, other], values('y'), restore())).toEqual([]);
    // Not what one who knew it wrote there, nor what came later.
    for (const late of [append('a', [21, 22], 'y', at(1)), append('c', [31, 32], 'y', at(1))])
      expect(check([known, late], values('y'), restore())).toEqual([expect.stringContaining('is lost')]);
    expect(check([append('a', [1, 2], 'y', at(1)), { ...known, ...at(2) }], values('y'), restore())).toEqual([
      expect.stringContaining('x in register-1 was acknowledged by a and is lost'),
    ]);
  });

  it('lets those who did not know read less until it is recovered, and not those who did', () => {
    const known = append('a', [11, 12], 'x', at(1));
    expect(check([known, read('c', [21, 22])], values('x'), restore())).toEqual([]);
    expect(check([known, read('a', [21, 22])], values('x'), restore())).toEqual([
      expect.stringContaining('without x'),
    ]);
    expect(check([known, read('c', [31, 32])], values('x'), restore())).toEqual([
      expect.stringContaining('without x'),
    ]);
  });

  it('reports who knew more and decided all the same', () => {
    expect(check([], [], restore({ silent: ['a'] }))).toEqual(['a knew more and did not refuse']);
  });

  it('knows that the vault goes back as well', () => {
    const late = { ...seal, invoked: 11, ended: 12 };
    const lost = unseal([31, 32], { stored: true, deleted: false });
    expect(check([late, lost], log('secret-1 sealed'), restore())).toEqual([]);
    const lostAnew = unseal([43, 44], { stored: true, deleted: false });
    const anew = { ...seal, invoked: 41, ended: 42 };
    expect(check([anew, lostAnew], log('secret-1 sealed'), restore())).toEqual([
      'b cannot open secret-1, which nobody deleted',
    ]);
  });
});
