import { firstValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { Recorded } from '../log/event.ts';
import { memoryLog } from '../log/memory-log.ts';
import { openView } from './open-view.ts';
import { recordedAt, scriptedLog } from './testing.ts';
import type { Projection } from './view.ts';

const words: Projection<readonly string[]> = {
  name: 'words.1',
  initial: [],
  apply: (state, { fact }) => {
    if (fact.type === 'poison') throw new CodedError('damaged', 'cannot be folded');
    return fact.type === 'said' ? [...state, (fact.data as { word: string }).word] : state;
  },
  encode: (state) => state,
  decode: (stored) => stored as string[],
};
const said = (position: number, word: string): Recorded =>
  recordedAt(position, 'talk-1', { type: 'said', data: { word } });
const tooOld = new CodedError('cursor_too_old', 'trimmed');

describe('a view that is far behind', () => {
  const farBehind = new CodedError('far_behind', 'much was written');

  it('goes on from the newest snapshot, and nobody is told', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'));
    log.snapshots = { position: 9_000, state: ['a', 'z'] };
    log.fail(farBehind);
    await vi.waitFor(() => {
      expect(log.begun).toEqual([0, 9_000]);
    });
    expect([view.state(), view.failure(), log.wanted]).toEqual([['a', 'z'], undefined, ['newest', 'newest']]);
  });

  it('reads all of it where there is no snapshot, and is content with one the next time', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'));
    log.fail(farBehind);
    await vi.waitFor(() => {
      expect([log.begun, log.wanted]).toEqual([
        [0, 1],
        ['newest', 'all'],
      ]);
    });
    log.tell(said(2, 'b'));
    expect([view.state(), view.failure()]).toEqual([['a', 'b'], undefined]);
    log.fail(new CodedError('cursor_too_old', 'trimmed'));
    await vi.waitFor(() => {
      expect(log.wanted).toEqual(['newest', 'all', 'newest']);
    });
  });
});

describe('opening a view', () => {
  it('begins at the beginning without a snapshot', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'), said(2, 'b'));
    expect(log.begun).toEqual([0]);
    expect([view.state(), view.position()]).toEqual([['a', 'b'], 2]);
  });

  it('begins after its snapshot', async () => {
    const log = scriptedLog();
    log.snapshots = { position: 7, state: ['a'] };
    const view = await openView(words, log);
    expect([view.state(), view.position(), log.begun]).toEqual([['a'], 7, [7]]);
  });

  it('fails with what the log fails with', async () => {
    const log = scriptedLog();
    log.snapshots = new CodedError('access_denied', 'not for you');
    await expect(openView(words, log)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('works over the real log', async () => {
    const log = memoryLog();
    const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' };
    const append = (word: string, expected: number): Promise<number> =>
      log.state.append([{ stream: 'talk-1', expected, facts: [{ type: 'said', data: { word } }] }], cause);
    await append('a', 0);
    const view = await openView(words, log.state);
    await view.reached(await append('b', 1));
    expect(view.state()).toEqual(['a', 'b']);
    await log.close();
    await expect(view.reached(99)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('following', () => {
  it('takes an event once, and moves over what is not for it', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'), said(1, 'a'), { position: 5 }, said(4, 'late'));
    expect([view.state(), view.position()]).toEqual([['a'], 5]);
  });

  it('tells the state now, then each change, and nothing when nothing changed', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    const seen = firstValueFrom(view.changes.pipe(take(3), toArray()));
    log.tell(
      said(1, 'a'),
      { position: 2 },
      recordedAt(3, 'talk-1', { type: 'other', data: {} }),
      said(4, 'b'),
    );
    expect(await seen).toEqual([[], ['a'], ['a', 'b']]);
  });

  it('resolves `reached` at the position and not before', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    let there = false;
    const reached = view.reached(2).then(() => (there = true));
    log.tell(said(1, 'a'));
    await Promise.resolve();
    expect(there).toBe(false);
    log.tell({ position: 3 });
    await reached;
    await view.reached(1);
  });
});

describe('a view whose place was trimmed', () => {
  it('goes on from a newer snapshot', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'));
    const reached = view.reached(21);
    log.snapshots = { position: 20, state: ['a', 'b'] };
    log.fail(tooOld);
    await view.reached(20);
    expect(view.state()).toEqual(['a', 'b']);
    await vi.waitFor(() => {
      expect(log.readers.size).toBe(1);
    });
    log.tell(said(21, 'c'));
    await reached;
    expect([view.state(), log.begun, view.failure()]).toEqual([['a', 'b', 'c'], [0, 20], undefined]);
  });

  it('stands still and says so while no snapshot is newer, and goes on from the next that is', async () => {
    const log = scriptedLog();
    log.snapshots = { position: 7, state: ['a'] };
    const view = await openView(words, log);
    const reached = view.reached(8);
    log.newest = 20;
    log.fail(tooOld);
    await expect(reached).rejects.toBe(tooOld);
    expect([view.failure(), view.state()]).toEqual([tooOld, ['a']]);
    await expect(view.reached(7)).rejects.toBe(tooOld);
    log.snapshots = { position: 20, state: ['a', 'b'] };
    await vi.waitFor(() => {
      if (log.readers.size === 1 && log.begun.at(-1) === 7) log.fail(tooOld);
      expect(view.failure()).toBeUndefined();
    });
    expect([view.state(), log.begun.at(-1)]).toEqual([['a', 'b'], 20]);
  });

  it('goes on from the oldest event there is, where all that is true is said again', async () => {
    const log = scriptedLog();
    const view = await openView({ ...words, saidAgainWithinMs: 60_000 }, log);
    log.beginning = 30;
    log.fail(tooOld);
    await vi.waitFor(() => {
      expect(log.begun).toEqual([0, 30]);
    });
    log.tell(said(31, 'b'));
    expect([view.state(), view.failure()]).toEqual([['b'], undefined]);
  });
});

describe('a projection whose name was raised', () => {
  const raised = { ...words, name: 'words.2', earlier: [{ name: 'words.1', upcast: (old: unknown) => old }] };

  it('begins from what is kept of the version before', async () => {
    const log = scriptedLog();
    log.byName.set('words.1', { position: 7, state: ['a'] });
    const view = await openView(raised, log);
    expect([view.state(), view.position(), log.begun]).toEqual([['a'], 7, [7]]);
  });

  it('prefers its own', async () => {
    const log = scriptedLog();
    log.byName.set('words.1', { position: 7, state: ['a'] }).set('words.2', { position: 5, state: ['b'] });
    const view = await openView(raised, log);
    expect([view.state(), log.begun]).toEqual([['b'], [5]]);
  });
});

describe('a view whose log fails', () => {
  it('says so to all who wait, keeps serving, and goes on when the log does', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'));
    const waiting = view.reached(9);
    const damaged = new CodedError('damaged', 'x');
    log.fail(damaged);
    await expect(waiting).rejects.toBe(damaged);
    expect([view.failure(), view.state()]).toEqual([damaged, ['a']]);
    await vi.waitFor(() => {
      expect(view.failure()).toBeUndefined();
    });
    log.tell(said(2, 'b'));
    await view.reached(2);
    expect([view.state(), log.begun]).toEqual([
      ['a', 'b'],
      [0, 1],
    ]);
  });
});

describe('a view that fails', () => {
  it.each([
    [
      'the log fails with a bug',
      (log: ReturnType<typeof scriptedLog>) => {
        log.fail(new TypeError('x is not a function'));
      },
      undefined,
    ],
    [
      'an event cannot be folded',
      (log: ReturnType<typeof scriptedLog>) => {
        log.tell(recordedAt(2, 'talk-1', { type: 'poison', data: {} }));
      },
      'damaged',
    ],
    [
      'the log is closed',
      (log: ReturnType<typeof scriptedLog>) => {
        log.complete();
      },
      'unavailable',
    ],
  ])('because %s says so to all who wait, and keeps serving', async (_why, breakIt, code) => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'));
    const waiting = view.reached(9);
    const changes = firstValueFrom(view.changes.pipe(toArray()));
    const rejected = [waiting, changes].map((one) => one.catch((e: unknown) => e));
    breakIt(log);
    for (const one of [...rejected, view.reached(9).catch((e: unknown) => e)])
      expect(await one).toMatchObject(code === undefined ? { message: 'x is not a function' } : { code });
    expect(view.failure()).toBeDefined();
    log.tell(said(2, 'b'));
    expect([view.state(), view.position(), log.readers.size]).toEqual([['a'], 1, 0]);
  });
});

describe('closing a view', () => {
  it('leaves the log, rejects who waits, completes the changes, and is no failure', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    const waiting = view.reached(1);
    const changes = firstValueFrom(view.changes.pipe(toArray()));
    view.close();
    view.close();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    expect(await changes).toEqual([[]]);
    expect([log.readers.size, view.failure()]).toEqual([0, undefined]);
  });

  it('while it looks for a snapshot follows no more', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.snapshots = { position: 20, state: [] };
    log.fail(tooOld);
    view.close();
    await Promise.resolve();
    await Promise.resolve();
    expect([log.readers.size, log.begun]).toEqual([0, [0]]);
  });
});
