import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identification } from './identification.ts';

/** What is read of `text`, cut at `cuts`: the line and how many bytes were taken, or the error. */
function read(text: string, mayGreet: boolean, cuts: readonly number[] = []): string {
  const all = Buffer.from(text, 'latin1');
  const one = new Identification(mayGreet);
  let at = 0;
  try {
    for (const cut of [...cuts.filter((c) => c < all.length), all.length].sort((a, b) => a - b)) {
      while (at < cut) {
        const took = one.take(all, at, cut);
        at = took.at;
        if (took.line !== undefined) return `${took.line.toString('latin1')}${at}`;
      }
    }
    return 'more';
  } catch (e) {
    return (e as Error).message;
  }
}

describe('an identification', () => {
  it.each([
    ['SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nrest', false, 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n32'],
    ['SSH-2.0-x\nrest', false, 'SSH-2.0-x\r\n10'],
    ['SSH-1.99-x\r\n', false, 'SSH-1.99-x\r\n12'],
    ['hello\r\nSSH-2.0-x\r\n', true, 'SSH-2.0-x\r\n18'],
    ['\r\n\nSSH-2.0-x\r\n', true, 'SSH-2.0-x\r\n14'],
    ['hello\r\nSSH-2.0-x\r\n', false, 'this is not an identification of SSH 2.0'],
    ['GET / HTTP/1.1\r\n', false, 'this is not an identification of SSH 2.0'],
    ['SSH-1.5-x\r\n', true, 'this is not an identification of SSH 2.0'],
    ['SSH-2.0-\r\n', true, 'this is not an identification of SSH 2.0'],
    ['SSH-2.0-a\0b\r\n', false, 'this is not an identification of SSH 2.0'],
    ['SSH-2.0-a\x1b[2J\r\n', false, 'this is not an identification of SSH 2.0'],
    ['SSH-2.0-a\rb\r\n', false, 'this is not an identification of SSH 2.0'],
    ['SSH-2.0-' + 'x'.repeat(245) + '\r\n', false, 'SSH-2.0-' + 'x'.repeat(245) + '\r\n255'],
    ['SSH-2.0-' + 'x'.repeat(246) + '\r\n', false, 'the identification is longer than 255 bytes'],
    ['SSH-2.0-' + 'x'.repeat(1e6), false, 'the identification is longer than 255 bytes'],
    ['SSH-2.0-' + 'x'.repeat(1e6), true, 'the identification is longer than 255 bytes'],
    ['x'.repeat(1e6), true, 'the identification is longer than 16384 bytes'],
    ['x\r\n'.repeat(65), true, 'the server greets without end'],
    [('x'.repeat(1000) + '\r\n').repeat(17), true, 'the server greets without end'],
    ['SSH-2.0-x', false, 'more'],
  ])('%j', (text, mayGreet, result) => {
    expect(read(text, mayGreet)).toBe(result);
    expect(read(text, mayGreet, [1, 2, 3, 4, 5, 6, 9, 100])).toBe(result);
  });

  it('is the same however the bytes come', () => {
    const piece = fc.constantFrom(
      'SSH-',
      '2.0-',
      'x',
      ' ',
      '\r',
      '\n',
      '\r\n',
      'SSH-2.0-a\r\n',
      'é',
      'x'.repeat(200),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.boolean(), fc.array(fc.nat(300)), (pieces, mayGreet, cuts) => {
        const text = pieces.join('');
        const cut = read(text, mayGreet, cuts);
        const whole = read(text, mayGreet);
        // A line that is too long is found as soon as its bytes are there.
        if (!cut.startsWith('the identification is longer')) expect(cut).toBe(whole);
        else expect(whole).toMatch(/longer|no identification|more/);
      }),
      { numRuns: 500 },
    );
  });
});

it.each([
  ['64 lines', 'x\r\n'.repeat(64), 'SSH-2.0-x\r\n203'],
  ['65 lines', 'x\r\n'.repeat(65), 'the server greets without end'],
  ['16 KiB of text', ('x'.repeat(1024) + '\n').repeat(16), `SSH-2.0-x\r\n${1025 * 16 + 11}`],
  ['a byte more', ('x'.repeat(1024) + '\n').repeat(16) + 'x\n', 'the server greets without end'],
  ['a line of 16 KiB', 'x'.repeat(16 * 1024 - 1) + '\n', `SSH-2.0-x\r\n${16 * 1024 + 11}`],
  ['a longer line', 'x'.repeat(16 * 1024) + '\n', 'the identification is longer than 16384 bytes'],
  ['a line that begins as one of SSH', 'SSH' + 'x'.repeat(300) + '\n', `SSH-2.0-x\r\n${304 + 11}`],
])('a server may greet with %s, and no more', (_what, greeting, result) => {
  expect(read(`${greeting}SSH-2.0-x\r\n`, true)).toBe(result);
});
