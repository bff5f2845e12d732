import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tellReading } from './reading-progress.ts';

describe('an auth server that reads a long log', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('says by its slowest fold how far it is, until it serves', () => {
    const said: unknown[] = [];
    let read = 1_000;
    const views = [{ position: () => 9_000 }, { position: () => read }];
    const end = tellReading(views, 9_000, { info: (text, fields) => said.push([text, fields]) });
    vi.advanceTimersByTime(9_000);
    expect(said).toEqual([]);
    vi.advanceTimersByTime(2_000);
    read = 5_000;
    vi.advanceTimersByTime(10_000);
    end();
    vi.advanceTimersByTime(60_000);
    const text = 'auth reads its log before it serves';
    expect(said).toEqual([
      [text, { event: 1_000, of: 9_000 }],
      [text, { event: 5_000, of: 9_000 }],
    ]);
  });
});
