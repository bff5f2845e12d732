import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyReader } from './keys.ts';

describe('keys of the player', () => {
  it('mean what the manual says', () => {
    const wishes = new KeyReader().feed(
      ' q\x03\x04+=-gGn?h\x1b[C\x1bOD\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1b[4~',
    );
    expect(wishes).toEqual([
      ...[{ kind: 'pause' }, { kind: 'quit' }, { kind: 'quit' }, { kind: 'quit' }],
      ...[1, 1, -1].map((by) => ({ kind: 'speed', by })),
      ...[{ kind: 'move', byMs: -Infinity }, { kind: 'end' }, { kind: 'search', text: undefined }],
      ...[
        { kind: 'help' },
        { kind: 'help' },
        { kind: 'move', byMs: 10_000 },
        { kind: 'move', byMs: -10_000 },
      ],
      ...[1, -1].map((by) => ({ kind: 'speed', by })),
      ...[
        { kind: 'move', byMs: -60_000 },
        { kind: 'move', byMs: 60_000 },
      ],
      ...[{ kind: 'move', byMs: -Infinity }, { kind: 'end' }],
    ]);
  });

  it('are text while a search is typed', () => {
    const keys = new KeyReader();
    expect(keys.feed('/q é')).toEqual(['', 'q', 'q ', 'q é'].map((text) => ({ kind: 'typing', text })));
    expect(keys.feed('x\x7f\x1b[C\r')).toEqual([
      { kind: 'typing', text: 'q éx' },
      { kind: 'typing', text: 'q é' },
      { kind: 'search', text: 'q é' },
    ]);
    expect(keys.feed('/a\x1b')).toContainEqual({ kind: 'typing', text: undefined });
    expect(keys.feed('/\r')).toContainEqual({ kind: 'typing', text: undefined });
    expect(keys.feed('q')).toEqual([{ kind: 'quit' }]);
  });

  it('that mean nothing are passed over', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(new KeyReader().feed(text).length).toBeLessThanOrEqual(Array.from(text).length);
      }),
    );
    expect(new KeyReader().feed('zZ\x1b[99~\x1b')).toEqual([]);
  });
});
