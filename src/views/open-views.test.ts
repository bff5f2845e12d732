import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { Recorded } from '../log/event.ts';
import { openViews, openViewsWith } from './open-views.ts';
import { recordedAt, scriptedLog } from './testing.ts';
import type { Projection } from './view.ts';

const words: Projection<readonly string[]> = {
  name: 'words.1',
  initial: [],
  apply: (state, { fact }) => {
    if (fact.type === 'poison') throw new CodedError('damaged', 'cannot be folded');
    return [...state, (fact.data as { word: string }).word];
  },
  encode: (state) => ({ words: state }),
  decode: (stored) => (stored as { words: string[] }).words,
};
const count: Projection<number> = {
  name: 'count.1',
  initial: 0,
  apply: (state) => state + 1,
  encode: (state) => state,
  decode: (stored) => stored as number,
};
const folded = { state: { words, count }, presence: { heard: count } };
const said = (position: number, word: string): Recorded =>
  recordedAt(position, 'talk-1', { type: 'said', data: { word } });
const logs = () => ({ state: scriptedLog(), presence: scriptedLog() });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('opening several views', () => {
  it('gives each its name, over its own partition, and closes all of them', async () => {
    const log = logs();
    const views = await openViews(log, folded);
    log.state.tell(said(1, 'a'), said(2, 'b'));
    log.presence.tell(said(1, 'c'));
    expect([views.words.state(), views.count.state(), views.heard.state()]).toEqual([['a', 'b'], 2, 1]);
    expect([views.all.length, log.state.readers.size, log.presence.readers.size]).toEqual([3, 1, 1]);
    views.close();
    expect([log.state.readers.size, log.presence.readers.size]).toEqual([0, 0]);
  });

  it('needs no log of a partition of which nothing is folded', async () => {
    const state = scriptedLog();
    const views = await openViews({ state }, { state: { words } });
    state.tell(said(1, 'a'));
    expect(views.words.state()).toEqual(['a']);
  });

  it('leaves none open when one cannot be opened, whichever partition it is of', async () => {
    const log = logs();
    log.presence.snapshots = new CodedError('access_denied', 'not for you');
    await expect(openViews(log, folded)).rejects.toMatchObject({ code: 'access_denied' });
    expect([log.state.begun.length, log.state.readers.size]).toEqual([0, 0]);
  });

  it('leaves none open when the slowest of them opened after another failed', async () => {
    const log = logs();
    const slow = Promise.withResolvers<undefined>();
    log.state.snapshot = (name) =>
      name === count.name ? slow.promise : Promise.reject(new CodedError('damaged', 'unreadable'));
    const opening = openViews(log, folded);
    const refused = expect(opening).rejects.toMatchObject({ code: 'damaged' });
    await turn();
    slow.resolve(undefined);
    await refused;
    expect([log.state.readers.size, log.presence.readers.size]).toEqual([0, 0]);
  });
});

describe('several views', () => {
  it('have reached a position when every view of the state has, whatever presence holds', async () => {
    const log = logs();
    const views = await openViews(log, folded);
    let there = false;
    const reached = views.reached(1).then(() => (there = true));
    await turn();
    expect(there).toBe(false);
    log.state.tell(said(1, 'a'));
    await reached;
    expect(views.heard.position()).toBe(0);
    await turn();
    views.close();
    await expect(views.reached(2)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('report the failure of any of them', async () => {
    const log = logs();
    const views = await openViews(log, folded);
    expect(views.failure()).toBeUndefined();
    log.state.tell(recordedAt(1, 'talk-1', { type: 'poison', data: {} }));
    expect(views.failure()).toMatchObject({ code: 'damaged' });
    expect(views.count.state()).toBe(1);
  });

  it('may have others beside, which nobody waits for, and which fail alone', async () => {
    const log = scriptedLog();
    const views = await openViewsWith({ state: log }, { state: { count } }, { state: { words } });
    expect([views.all, log.begun]).toEqual([[views.count], [0]]);
    expect(views.stored('state').map(({ name }) => name)).toEqual(['count.1', 'words.1']);
    log.tell(recordedAt(1, 'talk-1', { type: 'poison', data: {} }));
    await views.reached(1);
    expect(views.words.failure()).toMatchObject({ code: 'damaged' });
    expect(views.failure()).toBeUndefined();
    expect(views.stored('state')).toEqual([{ name: 'count.1', position: 1, state: 1 }]);
    views.close();
    expect(log.readers.size).toBe(0);
  });

  it('give what a snapshot keeps of a partition', async () => {
    const log = logs();
    const views = await openViews(log, folded);
    log.state.tell(said(1, 'a'));
    expect(views.stored('state')).toEqual([
      { name: 'words.1', position: 1, state: { words: ['a'] } },
      { name: 'count.1', position: 1, state: 1 },
    ]);
    expect(views.stored('presence')).toEqual([{ name: 'count.1', position: 0, state: 0 }]);
    expect(views.stored('audit')).toEqual([]);
  });
});
