import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CodedError } from './errors.ts';
import { firstOf, type Way } from './first-of.ts';

const forever = new AbortController().signal;
const fails = (name: string): Way => ({
  name,
  open: () => Promise.reject(new CodedError('unavailable', `${name} is shut`)),
});

describe('the first way that leads somewhere', () => {
  it('is the next one, at once, where one fails', async () => {
    const stream = new PassThrough();
    const way = { name: 'b', open: () => Promise.resolve(stream) };
    expect(await firstOf([fails('a'), way], forever, Number.POSITIVE_INFINITY)).toBe(stream);
  });
  it('is another where one takes longer than its head start, which is then given up', async () => {
    let gaveUp = false;
    const slow: Way = {
      name: 'slow',
      open: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            gaveUp = true;
            reject(new CodedError('unavailable', 'gave up'));
          });
        }),
    };
    const stream = new PassThrough();
    const quick = { name: 'quick', open: () => Promise.resolve(stream) };
    expect(await firstOf([slow, quick], forever, 1)).toBe(stream);
    expect(gaveUp).toBe(true);
  });
  it('is waited for as long as it says itself', async () => {
    const [stream, other] = [new PassThrough(), new PassThrough()];
    let asked = false;
    const patient: Way = {
      ...{ name: 'patient', headStartMs: 60_000 },
      open: () => new Promise((resolve) => setTimeout(resolve, 20, stream)),
    };
    const quick: Way = {
      name: 'quick',
      open: () => {
        asked = true;
        return Promise.resolve(other);
      },
    };
    expect(await firstOf([patient, quick], forever, 1)).toBe(stream);
    expect(asked).toBe(false);
  });
  it('tells of each why it failed, where none leads anywhere', async () => {
    await expect(firstOf([fails('a'), fails('b')], forever, 1000)).rejects.toThrow(
      'a: a is shut; b: b is shut',
    );
  });
});
