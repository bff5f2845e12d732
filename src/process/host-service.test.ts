import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { conditionOf } from '../base/condition.ts';
import type { Running } from '../base/service.ts';
import { serviceOf } from './host-service.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a service that is built when it starts', () => {
  it('is asked what it waits for until it serves, and then how it serves, with all that it has to say', async () => {
    const condition = conditionOf({ lacks: ['no terminals'], notices: ['the clocks differ'] });
    const running = Promise.withResolvers<Running>();
    const waits: (string | undefined)[] = [];
    let waitsFor: string | undefined = 'auth is away';
    const service = serviceOf(
      'node',
      () =>
        Promise.resolve({
          name: 'node',
          start: () => running.promise,
          waitsFor: (): string | undefined => waitsFor,
        }),
      (text) => waits.push(text),
    );
    const starting = service.start();
    await vi.advanceTimersByTimeAsync(1_000);
    waitsFor = 'heartbeat: the disk is full';
    await vi.advanceTimersByTimeAsync(1_000);
    expect(waits).toEqual(['auth is away', 'heartbeat: the disk is full']);
    running.resolve({
      done: new Promise(() => undefined),
      condition: () => condition,
      stop: () => Promise.resolve(),
    });
    expect((await starting).condition()).toBe(condition);
    expect(waits.slice(2)).toEqual([undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
