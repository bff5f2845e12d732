import { describe, expect, it } from 'vitest';
import { CodedError } from './errors.ts';
import { type Asking, type LookupLimits, nameLookup } from './name-lookup.ts';

interface Asked {
  readonly name: string;
  readonly givenUp: AbortSignal;
  readonly settled: PromiseWithResolvers<readonly string[]>;
}

function bench(wish: Partial<LookupLimits> = {}) {
  const asked: Asked[] = [];
  const lookUp = nameLookup(
    (name, givenUp) => {
      const settled = Promise.withResolvers<readonly string[]>();
      asked.push({ name, givenUp, settled });
      return settled.promise;
    },
    { asked: 3, askedByOne: 2, waitingOfOne: 2, waiting: 3, ...wish },
  );
  const names = (): string[] => asked.map(({ name }) => name);
  return { lookUp, asked, names };
}
const by = (name: string, signal = new AbortController().signal): Asking => ({ by: name, signal });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ignore = (answer: Promise<unknown>): void => void answer.catch(() => undefined);

describe('looking up a name', () => {
  it('asks nobody for an address', async () => {
    const { lookUp, asked } = bench();
    expect(await lookUp('10.0.0.1', by('alice'))).toEqual(['10.0.0.1']);
    expect(await lookUp('fe80::1%eth0', by('alice'))).toEqual(['fe80::1%eth0']);
    expect(asked).toEqual([]);
  });
  it('answers what the resolver says, also that there is no such name', async () => {
    const { lookUp, asked } = bench();
    const answers = [lookUp('a', by('alice')), lookUp('b', by('alice'))];
    await settled();
    asked[0]?.settled.resolve(['10.0.0.1', '10.0.0.2']);
    asked[1]?.settled.reject(new CodedError('not_found', 'the name b is not known'));
    expect(await answers[0]).toEqual(['10.0.0.1', '10.0.0.2']);
    await expect(answers[1]).rejects.toMatchObject({ code: 'not_found' });
    await expect(lookUp('x'.repeat(256), by('alice'))).rejects.toMatchObject({ code: 'not_found' });
  });
  it('gives one who asks few turns, so that another is not held up', async () => {
    const { lookUp, asked, names } = bench();
    for (const name of ['a', 'b', 'c', 'd']) ignore(lookUp(name, by('mallory')));
    ignore(lookUp('e', by('alice')));
    await settled();
    expect(names()).toEqual(['a', 'b', 'e']);
    asked[0]?.settled.resolve([]);
    await settled();
    expect(names()).toEqual(['a', 'b', 'e', 'c']);
  });
  it('asks once what one asks several times, and again what another asks', async () => {
    const { lookUp, asked, names } = bench();
    const answers = [1, 2, 3].map(() => lookUp('a', by('alice')));
    ignore(lookUp('a', by('bob')));
    await settled();
    expect(names()).toEqual(['a', 'a']);
    asked[0]?.settled.resolve(['10.0.0.1']);
    expect(await Promise.all(answers)).toEqual([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']]);
  });
  it('refuses when too many of one wait, or in all', async () => {
    const { lookUp } = bench();
    for (const name of ['a', 'b']) ignore(lookUp(name, by('alice')));
    await settled();
    for (const name of ['c', 'd']) ignore(lookUp(name, by('alice')));
    const refusal = { code: 'unavailable', message: 'too many names are being looked up, try again' };
    await expect(lookUp('e', by('alice'))).rejects.toMatchObject(refusal);
    for (const name of ['f', 'g']) ignore(lookUp(name, by('bob')));
    await expect(lookUp('h', by('carol'))).rejects.toMatchObject(refusal);
  });

  describe('that nobody waits for any more', () => {
    it('is not asked when it was still waiting', async () => {
      const { lookUp, asked, names } = bench({ askedByOne: 1 });
      const left = new AbortController();
      ignore(lookUp('a', by('alice')));
      const answer = lookUp('b', by('alice', left.signal));
      ignore(lookUp('c', by('alice')));
      left.abort();
      await expect(answer).rejects.toMatchObject({ code: 'unavailable', message: 'the client has left' });
      await settled();
      asked[0]?.settled.resolve([]);
      await settled();
      expect(names()).toEqual(['a', 'c']);
    });
    it('is given up when the last of them has left, and keeps its place until it is settled', async () => {
      const { lookUp, asked, names } = bench({ askedByOne: 1 });
      const [first, second] = [new AbortController(), new AbortController()];
      for (const { signal } of [first, second]) ignore(lookUp('a', by('alice', signal)));
      await settled();
      first.abort();
      expect(asked[0]?.givenUp.aborted).toBe(false);
      second.abort();
      expect(asked[0]?.givenUp.aborted).toBe(true);
      ignore(lookUp('a', by('alice')));
      await settled();
      expect(names()).toEqual(['a']);
      asked[0]?.settled.reject(new CodedError('unavailable', 'given up'));
      await settled();
      expect(names()).toEqual(['a', 'a']);
    });
    it('is not even begun when they have left before', async () => {
      await expect(bench().lookUp('a', by('alice', AbortSignal.abort()))).rejects.toMatchObject({
        code: 'unavailable',
      });
    });
  });
});
