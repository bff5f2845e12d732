import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SafeOutput } from './safe-output.ts';
import { forbidden, programOutput } from './testing.ts';

function filtered(...pieces: (string | Uint8Array)[]): string {
  const output = new SafeOutput();
  return Buffer.concat(pieces.map((one) => output.feed(Buffer.from(one)))).toString('utf8');
}

/** Cuts bytes at the places, however they are given. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const inside = places.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b);
  const at = [0, ...inside, bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

/** All that a terminal may get, written down once more, so that the list is not its own test. */
const harmless = new RegExp(
  [
    '[\\x07-\\x0f\\x20-\\x7e\\u00a0-\\u{10ffff}]', // text; BEL to SI
    '\\x1b(?:[78DEHM]|#8|[()][0AB])',
    '\\x1b\\[[\\d;]*[@A-IK-MPSXZ`abdefgru]',
    '\\x1b\\[[\\d;:]*m',
    '\\x1b\\[\\d*T',
    '\\x1b\\[[012]?(?:;[012]?)*J',
    '\\x1b\\[s',
    '\\x1b\\[4(?:;4)*[hl]',
    '\\x1b\\[\\?(?:(?:5|6|7|25|47|1047|1048|1049);?)+[hl]',
    '\\x1b\\[[\\d;]*!p',
  ].join('|'),
  'gu',
);
const notHarmless = (text: string): string => text.replace(harmless, '');

describe('output of a recording', () => {
  it('loses what a terminal must not be told, and nothing around it', () => {
    for (const one of forbidden)
      expect(filtered(`before${one}after`), JSON.stringify(one)).toBe('beforeafter');
  });

  it('loses it also when it comes in pieces', () => {
    for (const one of forbidden) {
      const bytes = Buffer.from(one);
      for (let at = 0; at <= bytes.length; at++)
        expect(filtered('a', bytes.subarray(0, at), bytes.subarray(at), 'b'), JSON.stringify(one)).toBe('ab');
    }
  });

  it('keeps what changes the picture', () => {
    const kept =
      '\x1b[1;31mred\x1b[0m \x1b[2J\x1b[10;20Hx\x1b[?1049h\x1b[2;5r\x1b(0q\x1b(B\r\n\tgrün 漢字\x1b7\x1b8\x1b[38:2::1:2:3m';
    expect(filtered(kept)).toBe(kept);
  });

  it('keeps of a sequence the modes that are harmless', () => {
    expect(filtered('\x1b[?1000;25;2004;1049h')).toBe('\x1b[?25;1049h');
  });

  it('blanks the picture where a terminal was to forget everything', () => {
    expect(filtered('a\x1bcb')).toMatch(/^a\x1b\[\?1049l.*\x1b\[2Jb$/s);
    expect(filtered('a\x1bcb')).not.toContain('\x1bc');
  });

  it('repeats no character without end', () => {
    expect(filtered('x\x1b[2000000000b')).toBe('x\x1b[4096b');
  });

  it('replaces what is not UTF-8, in every form', () => {
    expect(filtered(Buffer.of(0x61, 0xff, 0x80, 0x62))).toBe('a\ufffd\ufffdb');
    expect(filtered(Buffer.of(0xc0, 0x9b))).toBe('\ufffd\ufffd'); // not the shortest form
    expect(filtered(Buffer.of(0xed, 0xa0, 0x80))).toBe('\ufffd\ufffd\ufffd');
    expect(filtered(Buffer.of(0x9b, 0x63))).toBe('\ufffdc');
  });

  it('is the same in pieces of any size', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      programOutput.map((text) => Buffer.from(text)),
      fc.array(fc.constantFrom(...forbidden, '漢', 'x')).map((all) => Buffer.from(all.join(''))),
    );
    fc.assert(
      fc.property(anything, fc.array(fc.nat(), { maxLength: 8 }), (bytes, places) => {
        expect(filtered(...cut(bytes, places))).toBe(filtered(bytes));
      }),
    );
  });

  it('goes on from a state as if it had read everything before', () => {
    const text = fc.tuple(programOutput, fc.constantFrom('', ...forbidden)).map((both) => both.join(''));
    fc.assert(
      fc.property(text, fc.nat(), (whole, place) => {
        const [first = Buffer.of(), second = Buffer.of()] = cut(Buffer.from(whole), [place]);
        const one = new SafeOutput();
        const before = one.feed(first);
        const after = new SafeOutput(one.state).feed(second);
        expect(Buffer.concat([before, after]).toString('utf8')).toBe(filtered(whole));
      }),
    );
  });

  it('is harmless whatever comes in', () => {
    const parts = [
      '\x1b',
      '\x1b[',
      '\x1b]',
      '\x1bP',
      '\u009b',
      '\x18',
      '\x1a',
      '\x07',
      '?',
      ';',
      ':',
      '$',
      '!p',
      '1h',
    ];
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.oneof(fc.constantFrom(...forbidden, ...parts), fc.string({ maxLength: 5 })), {
          maxLength: 40,
        })
        .map((all) => Buffer.from(all.join(''))),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        expect(notHarmless(filtered(bytes))).toBe('');
      }),
      { numRuns: 2_000 },
    );
  });

  it('filtered once more stays as it is', () => {
    fc.assert(
      fc.property(programOutput, (text) => {
        const once = filtered(text);
        expect(filtered(once)).toBe(once);
      }),
    );
  });

  it('undoes at the end what it left in force', () => {
    const output = new SafeOutput();
    output.feed(Buffer.from('\x1b[?1049h\x1b[2;5r\x1b[?25l'));
    expect(output.restoring()).toMatch(/^\x1b\[\?1049l.*\x1b\[\?25h.*\x1b\[r\x1b\[999;1H$/s);
    output.feed(Buffer.from('\x1b[?1049l'));
    expect(output.restoring()).not.toContain('1049');
    const quiet = new SafeOutput();
    quiet.feed(Buffer.from('hello'));
    expect(quiet.restoring()).not.toContain('H');
    quiet.moveTo(quiet.state, { isAlternate: true, movesHome: false });
    expect(quiet.restoring()).toContain('\x1b[?1049l');
  });
});
