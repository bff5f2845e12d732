import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kindNamed } from '../../../domain/resources/registry.ts';
import { differenceOf } from './difference.ts';
import { asJson, asText, asYaml } from './print-documents.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';

const role = (name: string, description = 'what for') => ({
  spec: { allow: { logins: ['no', '{{internal.logins}}', 'x1'] } },
  metadata: { name, description },
  version: 'v3',
  kind: 'role',
});

describe('resources are printed', () => {
  it('as YAML with the keys in the order of 4.4, and texts that look like something else in quotes', () => {
    expect(asYaml([role('a'), role('yes')])).toBe(`kind: role
version: v3
metadata:
  name: a
  description: what for
spec:
  allow:
    logins:
      - 'no'
      - '{{internal.logins}}'
      - x1
---
kind: role
version: v3
metadata:
  name: 'yes'
  description: what for
spec:
  allow:
    logins:
      - 'no'
      - '{{internal.logins}}'
      - x1
`);
  });
  it('as JSON, one as an object and several as a list', () => {
    expect(JSON.parse(asJson([role('a')]))).toEqual(role('a'));
    expect(JSON.parse(asJson([role('a'), role('b')]))).toEqual([role('a'), role('b')]);
    expect(asJson([role('a')])).toMatch(/^\{\n {4}"kind": "role",\n {4}"version"/);
  });
  it('with what a kind has beside its spec', () => {
    const remote = { ...role('leaf'), kind: 'remote_cluster', status: { connection: 'online' } };
    expect(asYaml([remote])).toMatch(/\nspec:\n[^]*\nstatus:\n {2}connection: online\n$/);
    expect(JSON.parse(asJson([remote]))).toMatchObject({ status: { connection: 'online' } });
  });
  it('as a table', () => {
    const lines = asText(kindNamed('role'), [role('a')]).split('\n');
    expect(lines[0]).toMatch(/^Role +Allowed to login as +Node Labels +Access to resources/);
    expect(lines[2]).toMatch(/^a +no,\{\{internal\.logins\}\},x1/);
  });
  it('so that they are read as they were, in either form', () => {
    const text = fc.stringMatching(/^[ -~äß]{0,20}$/);
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), (descriptions) => {
        const documents = descriptions.map((one, i) => role(`r${i}`, one));
        for (const printed of [asYaml(documents), asJson(documents)])
          expect(readDocuments(printed, 'x').map(({ document }) => document)).toEqual(documents);
      }),
    );
  });
});

describe('the difference of two texts', () => {
  it('is empty where there is none', () => {
    expect(differenceOf('a\nb\n', 'a\nb\n')).toBe('');
  });
  it('shows what was there, what is, and three lines around', () => {
    const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`);
    const after = lines.with(5, 'new').toSpliced(15, 1);
    expect(differenceOf(lines.join('\n'), after.join('\n'))).toBe(
      [
        ...['  line 2', '  line 3', '  line 4', '- line 5', '+ new', '  line 6', '  line 7', '  line 8'],
        ...[
          '  …',
          '  line 12',
          '  line 13',
          '  line 14',
          '- line 15',
          '  line 16',
          '  line 17',
          '  line 18',
          '',
        ],
      ].join('\n'),
    );
  });
  it('turns the one into the other', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 6 }).map((all) => all.join('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const printed = differenceOf(before, after).split('\n').slice(0, -1);
        if (before === after) expect(printed).toEqual([]);
        const lines = (sign: string): string[] =>
          printed.filter((line) => line.startsWith(sign)).map((line) => line.slice(2));
        const [removed, added] = [lines('-'), lines('+')];
        const left = before.split('\n').length - removed.length;
        expect(after.split('\n').length - added.length).toBe(left);
        expect(count(before.split('\n'), removed, added)).toEqual(count(after.split('\n'), [], []));
      }),
    );
  });
});

/** How often each line is there, after some were taken and some given. */
function count(lines: readonly string[], removed: readonly string[], added: readonly string[]): object {
  const times: Record<string, number> = { a: 0, b: 0, c: 0, '': 0 };
  for (const line of [...lines, ...added]) times[line] = (times[line] ?? 0) + 1;
  for (const line of removed) times[line] = (times[line] ?? 0) - 1;
  return times;
}
