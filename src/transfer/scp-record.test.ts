import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { formatScpRecord, parseScpRecord, type ScpRecord } from './scp-record.ts';

const name = fc
  .string({ minLength: 1, unit: 'grapheme' })
  .filter((text) => !/[/\0\n]/.test(text) && text !== '.' && text !== '..');
const mode = fc.integer({ min: 0, max: 0o7777 });
const record: fc.Arbitrary<ScpRecord> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), mode, size: fc.nat(), name }),
  fc.record({ kind: fc.constant('directory' as const), mode, name }),
  fc.record({ kind: fc.constant('times' as const), modified: fc.nat(), accessed: fc.nat() }),
  fc.constant({ kind: 'end' as const }),
);

describe('records of scp', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(parseScpRecord(formatScpRecord(one).slice(0, -1))).toEqual(one);
      }),
    );
  });
  it.each(['C0644 1 ../x', 'C0644 1 /etc/x', 'D0755 0 ..', 'D0755 0 .', 'C0644 1 a/b', 'C0644 1 a\0b'])(
    'never lead elsewhere: %j',
    (line) => {
      expect(() => parseScpRecord(line)).toThrow(/it wants to write to/);
    },
  );
  it('are refused when they are anything else', () => {
    fc.assert(
      fc.property(fc.string(), (line) => {
        try {
          const one = parseScpRecord(line);
          if (one.kind === 'file' || one.kind === 'directory') expect(one.name).not.toMatch(/[/\0]|^\.\.?$/);
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
    for (const line of ['', 'X', 'C644 1 a', 'C0644 -1 a', 'C0644 9999999999999999 a', 'T1 0 1', 'C0888 1 a'])
      expect(() => parseScpRecord(line)).toThrow(CodedError);
  });
});
