import { type ErrorCode, isCoded } from '../base/errors.ts';

/** Everything that an iterable yields. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

/** What an iterable yields before it ends with this code. Throws when it ends otherwise. */
export async function collectUntil<T>(source: AsyncIterable<T>, code: ErrorCode): Promise<T[]> {
  const all: T[] = [];
  try {
    for await (const one of source) all.push(one);
  } catch (e) {
    if (isCoded(e, code)) return all;
    throw e;
  }
  throw new Error(`it did not end with ${code}`);
}
