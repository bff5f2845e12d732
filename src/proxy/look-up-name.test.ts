import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nameLookup } from './look-up-name.ts';

interface Question {
  readonly name: string;
  readonly answer: (addresses: readonly string[]) => void;
  readonly fail: () => void;
}
function resolver(): { ask: (name: string) => Promise<readonly string[]>; questions: Question[] } {
  const questions: Question[] = [];
  return {
    questions,
    ask: (name) =>
      new Promise((answer, reject) => {
        questions.push({
          name,
          answer,
          fail: () => {
            reject(new Error('ENOTFOUND'));
          },
        });
      }),
  };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('looking up a name', () => {
  it('answers what DNS says, and nothing for a name it does not know', async () => {
    const { ask, questions } = resolver();
    const lookUp = nameLookup(ask);
    const [known, unknown] = [lookUp('known'), lookUp('unknown')];
    await settled();
    questions[0]?.answer(['10.0.0.1']);
    questions[1]?.fail();
    expect([await known, await unknown]).toEqual([['10.0.0.1'], []]);
  });
  it('asks two questions at a time', async () => {
    const { ask, questions } = resolver();
    const lookUp = nameLookup(ask);
    const all = ['a', 'b', 'c'].map((name) => lookUp(name));
    await settled();
    expect(questions.map(({ name }) => name)).toEqual(['a', 'b']);
    questions[1]?.fail();
    await settled();
    expect(questions.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    questions[0]?.answer([]);
    questions[2]?.answer([]);
    await Promise.all(all);
  });
  it('refuses when too many wait', async () => {
    const { ask, questions } = resolver();
    const lookUp = nameLookup(ask);
    const all = Array.from({ length: 66 }, () => lookUp('slow'));
    await expect(lookUp('one more')).rejects.toMatchObject({ code: 'unavailable' });
    for (let i = 0; i < 66; i++) {
      await settled();
      questions[i]?.answer(['10.0.0.1']);
    }
    expect(await Promise.all(all)).toHaveLength(66);
  });

  describe('that nobody answers', () => {
    beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
    afterEach(() => vi.useRealTimers());
    it('is not waited for, but holds its place until the resolver gives up', async () => {
      const { ask, questions } = resolver();
      const lookUp = nameLookup(ask, { timeoutMs: 5 });
      const slow = [lookUp('a'), lookUp('b')];
      const third = lookUp('c');
      await settled();
      vi.advanceTimersByTime(5);
      expect(await Promise.all(slow)).toEqual([[], []]);
      expect(questions).toHaveLength(2);
      questions[0]?.fail();
      await settled();
      expect(questions).toHaveLength(3);
      questions[2]?.answer(['10.0.0.3']);
      expect(await third).toEqual(['10.0.0.3']);
    });
  });
});
