import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Appended } from '../../src/log/slot-driver.ts';
import { News } from './news.ts';

const committed: Appended = { status: 'committed' };
const taken: Appended = { status: 'taken', head: 1 };

function setUp(): { news: News; slots: Subject<number>; hints: () => number } {
  const news = new News();
  const slots = new Subject<number>();
  let hints = 0;
  news.of('state', slots).subscribe(() => hints++);
  return { news, slots, hints: () => hints };
}

describe('what a watch tells', () => {
  it('is no news when this handle wrote it, before the answer and after', async () => {
    const { news, slots, hints } = setUp();
    await news.writing('state', 1, () => {
      slots.next(1);
      return Promise.resolve(committed);
    });
    slots.next(1);
    expect(hints()).toBe(0);
    slots.next(2);
    expect(hints()).toBe(1);
  });

  it('is news when another wrote the slot, or it is not known who', async () => {
    const { news, slots, hints } = setUp();
    await news.writing('state', 1, () => {
      slots.next(1);
      return Promise.resolve(taken);
    });
    expect(hints()).toBe(1);
    await expect(
      news.writing('state', 2, () => {
        slots.next(2);
        return Promise.reject(new Error('no answer'));
      }),
    ).rejects.toThrow('no answer');
    expect(hints()).toBe(2);
    slots.next(2);
    expect(hints()).toBe(3);
  });

  it('is of one partition', async () => {
    const { news, slots, hints } = setUp();
    await news.writing('audit', 5, () => Promise.resolve(committed));
    await news.writing('presence', 1, () => Promise.resolve(taken));
    expect(hints()).toBe(0);
    slots.next(1);
    expect(hints()).toBe(1);
  });

  it('is all of it after a new watch began', () => {
    const { slots, hints } = setUp();
    slots.next(Infinity);
    expect(hints()).toBe(1);
  });
});
