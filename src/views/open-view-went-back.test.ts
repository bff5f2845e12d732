import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { Recorded } from '../log/event.ts';
import { openView } from './open-view.ts';
import { recordedAt, scriptedLog } from './testing.ts';
import type { Projection } from './view.ts';

const words: Projection<readonly string[]> = {
  name: 'words.1',
  initial: [],
  apply: (state, { fact }) => [...state, (fact.data as { word: string }).word],
  encode: (state) => state,
  decode: (stored) => stored as string[],
};
const said = (position: number, word: string): Recorded =>
  recordedAt(position, 'talk-1', { type: 'said', data: { word } });
const tooOld = new CodedError('cursor_too_old', 'trimmed');

describe('a log that went back', () => {
  it.each([
    ['says that it has no such event', tooOld],
    ['is found to end before it', new CodedError('unavailable', 'the store went back')],
  ])('and %s is folded anew, and shown when all of it is', async (_how, failure) => {
    const log = scriptedLog();
    const view = await openView(words, log);
    const seen: (readonly string[])[] = [];
    view.changes.subscribe((state) => seen.push(state));
    log.tell(said(1, 'a'), said(2, 'b'), said(3, 'c'));
    log.beginning = 0;
    log.newest = 2;
    const reached = view.reached(4);
    log.fail(failure);
    await expect(reached).rejects.toMatchObject({ code: failure === tooOld ? 'unavailable' : failure.code });
    await vi.waitFor(() => {
      expect([log.begun.length > 1, log.begun.at(-1)]).toEqual([true, 0]);
    });
    log.tell(said(1, 'a'));
    log.newest = 2;
    await Promise.resolve();
    expect([view.state(), view.failure()?.message]).toEqual([
      ['a', 'b', 'c'],
      'the log has gone back: it no longer has event 3',
    ]);
    log.tell(said(2, 'x'));
    expect([view.state(), view.position(), view.failure()]).toEqual([['a', 'x'], 2, undefined]);
    expect(seen).toEqual([[], ['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'x']]);
  });
});

describe('a log that went back and has gone on, past where the view was', () => {
  it('is folded anew', async () => {
    const log = scriptedLog();
    const view = await openView(words, log);
    log.tell(said(1, 'a'), said(2, 'b'));
    log.beginning = 0;
    log.newest = 3;
    log.other = true;
    log.fail(new CodedError('unavailable', 'the store went back'));
    await vi.waitFor(() => {
      expect([log.begun.length > 1, log.begun.at(-1)]).toEqual([true, 0]);
    });
    expect([view.state(), view.failure()?.message]).toEqual([
      ['a', 'b'],
      'the log has gone back: it no longer has event 2',
    ]);
    log.tell(said(1, 'a'), said(2, 'x'), said(3, 'y'));
    expect([view.state(), view.failure()]).toEqual([['a', 'x', 'y'], undefined]);
  });

  it('names the event after which it follows', async () => {
    const log = scriptedLog();
    await openView(words, log);
    log.tell(said(1, 'a'));
    log.fail(new CodedError('unavailable', 'x'));
    await vi.waitFor(() => {
      expect(log.ids).toEqual([undefined, said(1, 'a').id]);
    });
  });
});
