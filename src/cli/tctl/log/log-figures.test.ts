import { describe, expect, it } from 'vitest';
import { figures, partitionLines, sizeText } from './log-figures.ts';

const state: Parameters<typeof partitionLines>[0][number] = {
  ...{ partition: 'state', firstSlot: 1, lastSlot: 9, events: 40, bytes: 1536, head: 'abcd' },
};

describe('the figures of a copied log', () => {
  it('have a line for each partition, the totals, and the speed', () => {
    expect(partitionLines([state])).toEqual(['state    slots 1 to 9, 40 events, 1.5 KB, head abcd']);
    expect(figures([state, { ...state, partition: 'audit', events: 60 }], 500)).toBe(
      '100 events, 3.0 KB in 0.5 s (200 events/s)',
    );
    // A copy of nothing takes no time.
    expect(figures([], 0)).toBe('0 events, 0 B in 0.0 s (0 events/s)');
  });
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KB'],
    [1024 ** 2, '1.0 MB'],
    [1024 ** 3, '1.0 GB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });
});
