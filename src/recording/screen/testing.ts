import fc from 'fast-check';

const choice = (...all: string[]): fc.Arbitrary<string> => fc.constantFrom(...all);
const number = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(''), fc.integer({ min: 0, max: 300 }));

/** Sequences that change the picture. */
export const pictureSequence: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(choice(...Array.from('@ABCDEFGHIJKLMPSTXZ`abdefgr')), fc.array(number, { maxLength: 2 }))
    .map(([final, params]) => `\x1b[${(final === 'T' ? params.slice(0, 1) : params).join(';')}${final}`),
  choice('\x1b7', '\x1b8', '\x1bD', '\x1bE', '\x1bH', '\x1bM', '\x1b#8'),
  choice('\x1b(0', '\x1b(B', '\x1b)0', '\x1b)B', '\x0e', '\x0f'),
  fc
    .tuple(choice('5', '6', '7', '25', '1047', '1049'), choice('h', 'l'))
    .map(([mode, set]) => `\x1b[?${mode}${set}`),
  choice('\x1b[4h', '\x1b[4l', '\x1b[s', '\x1b[u', '\x1b[3g', '\x1b[!p'),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 37 }), fc.integer({ min: 90, max: 107 })), { maxLength: 3 })
    .map((all) => `\x1b[${all.join(';')}m`),
  choice('\x1b[38;5;200m', '\x1b[48;2;1;2;3m', '\x1b[38:2::9:8:7m', '\x1b[4:3m', '\x1b[44m'),
);

/** Text with characters of all widths, and what moves lines. */
export const someText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 30 }).map((text) => text.replace(/[^ -~]/g, 'x')),
  choice('\r\n', '\n', '\r', '\b', '\t', 'é', '漢字', 'e\u0301', '😀', 'ß', '─'),
);

/** Output of a program that means no harm. */
export const programOutput: fc.Arbitrary<string> = fc
  .array(fc.oneof(pictureSequence, someText), { maxLength: 60 })
  .map((parts) => parts.join(''));

/** What no recording may send to a terminal. */
export const forbidden: readonly string[] = [
  // OSC: titles, clipboard, links, palette, colours, files.
  '\x1b]0;TITLE\x07',
  '\x1b]2;TITLE\x1b\\',
  '\x1b]52;c;Y2xpcA==\x07',
  '\x1b]8;;http://evil\x1b\\',
  '\x1b]4;1;?\x07',
  '\x1b]10;?\x07',
  '\x1b]1337;File=x\x07',
  '\u009d0;TITLE\u009c',
  // Other strings.
  '\x1bP$qm\x1b\\',
  '\x1bP+q544e\x1b\\',
  '\x1b_apc\x1b\\',
  '\x1b^pm\x1b\\',
  '\x1bXsos\x1b\\',
  '\u0090$qm\u009c',
  // What is answered.
  ...['c', '>c', '=c', '>q', '5n', '6n', '?6n', '?2026$p', '4$p', 'x', '?u'].map((one) => `\x1b[${one}`),
  '\x1bZ',
  '\x05',
  '\u009bc',
  '\u009b6n',
  // Windows, printing, margins at the sides, checksums, levels.
  ...['18t', '21t', '8;1;1t', '5i', '?5i', '?3h', '?69h', '1;2s', '1;1;1;1;1*y', '62"p'].map(
    (one) => `\x1b[${one}`,
  ),
  // Keys, mouse, pasting, cursor, scrollback.
  ...['?1000h', '?1006h', '?2004h', '?1004h', '?1h', '>4;2m', '>1u', '5 q', '3J', '1;2;3;4;5T'].map(
    (one) => `\x1b[${one}`,
  ),
  '\x1b=',
  '\x1b%@',
];
