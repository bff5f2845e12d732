import fc from 'fast-check';
import { resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../base/errors.ts';
import { directoryRecord, fileRecord, parseRecord } from './scp-record.ts';

describe('reading a record of a copy', () => {
  it('knows files, folders and the end of one', () => {
    expect(parseRecord('C0644 12 a b.txt')).toEqual({ kind: 'file', mode: 0o644, size: 12, name: 'a b.txt' });
    expect(parseRecord('D0755 0 dir')).toEqual({ kind: 'directory', mode: 0o755, name: 'dir' });
    expect(parseRecord('E')).toEqual({ kind: 'end' });
  });
  it('does not take over set-id bits', () => {
    expect(parseRecord('C4755 1 x')).toMatchObject({ mode: 0o755 });
  });
  it.each(['C0644 1 ../x', 'C0644 1 /etc/passwd', 'D0755 0 ..', 'D0755 0 .', 'C0644 1 a/b', 'C0644 1 a\0b'])(
    'refuses a name that leads elsewhere: %j',
    (line) => {
      expect(() => parseRecord(line)).toThrow('it wants to write to');
    },
  );
  it.each([
    '',
    'X',
    'C644 1 x',
    'C0644 -1 x',
    'C0644 1 ',
    'T0 0 0 0',
    'C0644 99999999999999999999 x',
    'C0999 1 x',
  ])('refuses what is no record: %j', (line) => {
    expect(() => parseRecord(line)).toThrow('does not follow the copy protocol');
  });
  it('reads back what it writes', () => {
    expect(parseRecord(fileRecord(0o100640, 5, 'n').trimEnd())).toEqual({
      kind: 'file',
      mode: 0o640,
      size: 5,
      name: 'n',
    });
    expect(parseRecord(directoryRecord(0o40700, 'n').trimEnd())).toEqual({
      kind: 'directory',
      mode: 0o700,
      name: 'n',
    });
  });
  it('accepts no name that leaves the folder', () => {
    const piece = fc.constantFrom('..', '.', '/', 'a', '\\', '\0', ' ', '~');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((p) => p.join('')),
        ),
        (name) => {
          try {
            const record = parseRecord(`C0644 1 ${name}`);
            if (record.kind !== 'end') expect(resolve(sep, 'in', record.name)).toBe(`/in/${record.name}`);
          } catch (e) {
            if (!isCoded(e, 'unavailable')) throw e;
          }
        },
      ),
    );
  });
});
