import { describe, expect, it } from 'vitest';
import { ChildEnds } from './child-ends.ts';

/** What waitpid says of each. */
function kernel() {
  const ended = new Map<number, number | 'lost'>();
  const asked: number[] = [];
  const ends = new ChildEnds({
    reap: (pid) => {
      asked.push(pid);
      return ended.get(pid);
    },
  });
  return { ended, asked, ends, signal: () => process.emit('SIGCHLD') };
}
const listeners = (): number => process.listenerCount('SIGCHLD');

describe('waiting for processes', () => {
  it('tells of several that one signal announces, and asks after its own only', async () => {
    const { ended, asked, ends, signal } = kernel();
    const all = [11, 12, 13].map((pid) => ends.watch(() => pid));
    ended.set(11, 3 << 8).set(13, 9);
    signal();
    expect(await all[0]?.ended).toEqual({ status: 'exited', code: 3 });
    expect(await all[2]?.ended).toEqual({ status: 'killed', signal: 9, coreDumped: false });
    ended.set(12, 0);
    signal();
    expect(await all[1]?.ended).toEqual({ status: 'exited', code: 0 });
    expect(asked).toEqual([11, 12, 13, 12]);
  });
  it('listens before it starts one, and no longer than one runs', async () => {
    const before = listeners();
    const { ended, ends, signal } = kernel();
    const child = ends.watch(() => {
      expect(listeners()).toBe(before + 1);
      return 11;
    });
    ended.set(11, 0);
    signal();
    await child.ended;
    expect(listeners()).toBe(before);
    expect(() =>
      ends.watch(() => {
        throw new Error('it did not start');
      }),
    ).toThrow('it did not start');
    expect(listeners()).toBe(before);
  });
  it('does not wait for ever for one that somebody else has waited for', async () => {
    const { ended, ends, signal } = kernel();
    const child = ends.watch(() => 11);
    ended.set(11, 'lost');
    signal();
    expect(await child.ended).toEqual({ status: 'unknown' });
  });
});
