import { describe, expect, it, vi } from 'vitest';
import { endingOnce, type Grace } from './ending.ts';

const never = Number.MAX_SAFE_INTEGER;

describe('ending a service', () => {
  it('acts once, however often it is asked', async () => {
    const act = vi.fn<(grace: Grace) => Promise<void>>(() => Promise.resolve());
    const stop = endingOnce(act);
    await Promise.all([stop(5, 'succeeded'), stop(7)]);
    expect(act).toHaveBeenCalledTimes(1);
    expect(act.mock.calls[0]?.[0]).toMatchObject({ given: true, succession: 'succeeded' });
  });

  it('cuts a drain short when it is asked again without a grace', async () => {
    const stop = endingOnce(({ over }) => over);
    let ended = false;
    const draining = stop(never).then(() => {
      ended = true;
    });
    void stop(never);
    await Promise.resolve();
    expect(ended).toBe(false);
    await stop(0);
    await draining;
    expect(ended).toBe(true);
  });

  it('waits for nobody without a grace', async () => {
    const graces: boolean[] = [];
    await endingOnce(({ given, over }) => {
      graces.push(given);
      return over;
    })(0);
    expect(graces).toEqual([false]);
  });
});
