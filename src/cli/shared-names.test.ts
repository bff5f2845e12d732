import { describe, expect, it } from 'vitest';
import { sharedNames } from './shared-names.ts';

const node = (nodename: string, hostId: string, namedSince?: string) => ({ nodename, hostId, namedSince });

describe('names that several nodes have', () => {
  it('are told with who had each first', () => {
    const [line, ...more] = sharedNames([
      node('db1', 'b', '2026-02-01T00:00:00.000Z'),
      node('web', 'c', '2026-01-01T00:00:00.000Z'),
      node('DB1', 'a', '2026-01-01T00:00:00.000Z'),
      node('db1', 'd'),
    ]);
    expect(more).toEqual([]);
    expect(line).toBe(
      'warning: 3 nodes are called db1, the first holder of the name first: a since 2026-01-01T00:00:00.000Z, ' +
        'b since 2026-02-01T00:00:00.000Z, d since an unknown time',
    );
  });
  it('are not told of where each has its own', () => {
    expect(sharedNames([node('a', '1'), node('b', '2')])).toEqual([]);
  });
});
