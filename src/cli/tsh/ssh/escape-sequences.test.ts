import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapeSequences } from './escape-sequences.ts';

/** What is sent, and what was asked for, when these pieces are typed. */
function type(...pieces: string[]): { sent: string; actions: string[] } {
  const escapes = new EscapeSequences();
  const fed = pieces.map((p) => escapes.feed(Buffer.from(p)));
  return {
    sent: fed.map((f) => f.data.toString()).join(''),
    actions: fed.map((f) => f.action).filter((a) => a !== 'none'),
  };
}

describe('typing in a session', () => {
  it('disconnects on ~. at the very beginning and after a line end', () => {
    expect(type('~.')).toEqual({ sent: '', actions: ['disconnect'] });
    expect(type('ls\r', '~', '.')).toEqual({ sent: 'ls\r', actions: ['disconnect'] });
  });
  it('helps on ~? and is still at the beginning of the line', () => {
    expect(type('~?', '~.')).toEqual({ sent: '', actions: ['help', 'disconnect'] });
  });
  it('sends one ~ for two, and a ~ with what follows it otherwise', () => {
    expect(type('~~.')).toEqual({ sent: '~.', actions: [] });
    expect(type('~x')).toEqual({ sent: '~x', actions: [] });
    expect(type('~\r~.')).toEqual({ sent: '~\r', actions: ['disconnect'] });
  });
  it('leaves a ~ inside a line alone', () => {
    expect(type('a~.\n')).toEqual({ sent: 'a~.\n', actions: [] });
  });
  it('sends every byte that is no escape, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (pieces) => {
        const bytes = pieces.map((p) => Buffer.from(p).map((b) => (b === 0x7e ? 0 : b)));
        const escapes = new EscapeSequences();
        expect(Buffer.concat(bytes.map((b) => escapes.feed(Buffer.from(b)).data))).toEqual(
          Buffer.concat(bytes),
        );
      }),
    );
  });
});
