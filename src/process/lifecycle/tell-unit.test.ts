import { describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import type { Inheritance } from './inheritance.ts';
import type { ServiceManager } from './service-manager.ts';
import { tellStart } from './tell-unit.ts';
import type { UnitRole } from './unit-role.ts';

function trial({ listens = true, hasPredecessor = false, mainFails = false } = {}) {
  const told: string[] = [];
  const sink = recordingSink();
  const world = fakeWorld();
  const unit = {
    say: (status: string) => told.push(`say ${status}`),
    beMain: (status: string) => {
      told.push(`main ${status}`);
      return mainFails ? Promise.reject(new Error('the pid file cannot be written')) : Promise.resolve();
    },
  } as unknown as UnitRole;
  const manager = {
    listens,
    extend: (ms: number) => {
      told.push(`extend ${ms}`);
      return Promise.resolve();
    },
  } as unknown as ServiceManager;
  const inheritance = { hasPredecessor } as Inheritance;
  return { telling: tellStart({ manager, unit, inheritance, sink, world }), told, sink, world };
}

describe('a start that waits', () => {
  it.each([{ listens: false }, { hasPredecessor: true }])('is not told to the unit: %j', (wish) => {
    expect(trial(wish).telling).toBeUndefined();
  });

  it('is told, asks for time, and becomes the main process when that goes on', async () => {
    vi.useFakeTimers();
    try {
      const { telling, told, world, sink } = trial({ mainFails: true });
      telling?.waits(new Map([['node', 'no route']]));
      for (let s = 0; s < 600 && !told.some((one) => one.startsWith('main')); s++) {
        world.advance(1_000);
        await vi.advanceTimersByTimeAsync(1_000);
      }
      telling?.close();
      expect(told.some((one) => one.startsWith('say ') && one.includes('no route'))).toBe(true);
      expect(told.some((one) => /^extend [1-9]\d*$/.test(one))).toBe(true);
      expect(told.at(-1)).toMatch(/^(main|say) .*no route/);
      expect(told.filter((one) => one.startsWith('main '))).toHaveLength(1);
      expect(sink.lines).toEqual(['error the pid file cannot be written {}']);
    } finally {
      vi.useRealTimers();
    }
  });
});
