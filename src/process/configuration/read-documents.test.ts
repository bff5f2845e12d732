import { describe, expect, it } from 'vitest';
import { readDocuments } from './read-documents.ts';

const read = (text: string): unknown[] => readDocuments(text, 'f.yaml').map(({ document }) => document);
const names = (text: string): string[] =>
  readDocuments(text, 'f.yaml').map(({ document }) => document.metadata.name);
const role = (name: string): string => `kind: role\nversion: v3\nmetadata: {name: ${name}}\nspec: {}\n`;

describe('a file of resources', () => {
  it('may hold one document, several, and empty ones between them', () => {
    expect(names(role('a'))).toEqual(['a']);
    expect(names(`---\n${role('a')}---\n# nothing\n---\n${role('b')}---\n`)).toEqual(['a', 'b']);
  });
  it('may be JSON, one or a list, as `tctl get --format=json` prints it', () => {
    const one = { kind: 'role', version: 'v3', metadata: { name: 'a' }, spec: {} };
    expect(read(JSON.stringify(one, undefined, 4))).toEqual([one]);
    expect(names(JSON.stringify([one, { ...one, metadata: { name: 'b' } }]))).toEqual(['a', 'b']);
  });
  it.each(['', '\n\n', '# only a remark\n', '---\n---\n', '[]', 'null'])('may be empty: %j', (text) => {
    expect(read(text)).toEqual([]);
  });
  it('gives what was written, not what the schema makes of it', () => {
    expect(read(role('a').replace('spec: {}', 'spec: {options: {forward_agent: yes}}'))).toMatchObject([
      { spec: { options: { forward_agent: 'yes' } } },
    ]);
  });
  it('tells the place of what others find in it', () => {
    const [, second] = readDocuments(`${role('a')}---\n${role('b')}`, 'f.yaml');
    expect(second?.place()).toBe('f.yaml:6:1');
    expect(second?.place(['metadata', 'name'])).toBe('f.yaml:8:12');
    // The nearest that is there.
    expect(second?.place(['spec', 'allow', 'logins'])).toBe('f.yaml:9:1');
  });
});

describe('a fault of a file is told with its place', () => {
  it.each<[string, string, RegExp]>([
    ['no YAML', 'kind: role\nmetadata: {name: a\n', /^f\.yaml:3:1: /],
    ['a tab', 'kind: role\n\tversion: v3\n', /^f\.yaml:2:1: /],
    ['a key twice', `${role('a')}spec: {}\n`, /^f\.yaml:5:1: .*unique/],
    ['no kind', 'version: v3\n', /^f\.yaml:1:1: a resource has a kind, such as "kind: role"$/],
    ['no resource', 'hello\n', /^f\.yaml:1:1: /],
    ['a list in it', '- hello\n', /^f\.yaml:1:3: /],
    ['an unknown kind', 'kind: rol\n', /^f\.yaml:1:1: unknown kind of resource "rol"; did you mean role\?/],
    ['another name of a kind', 'kind: roles\n', /^f\.yaml:1:1: the kind is called role$/],
    [
      'a kind that is not there',
      'kind: saml\n',
      /^f\.yaml:1:1: resources of kind "saml" are not supported: /,
    ],
    [
      'a kind that files do not write',
      'kind: cluster_auth_preference\nversion: v2\nspec: {u2f: {}}\n',
      /^f\.yaml:1:1: .*not written by a file: the configuration files of the auth servers decide it/,
    ],
    [
      'an unknown key',
      role('a').replace('spec: {}', 'spec:\n  allow:\n    logns: [root]'),
      /^f\.yaml:6:5: unknown key "logns" in spec\.allow; did you mean logins\?$/,
    ],
    ['an unknown key that is near none', `${role('a')}zzzzzz: 1\n`, /^f\.yaml:5:1: unknown key "zzzzzz"$/],
    [
      'a value',
      role('a').replace('spec: {}', 'spec:\n  options:\n    max_sessions: many'),
      /^f\.yaml:6:5: spec\.options\.max_sessions: /,
    ],
    [
      'a rule',
      role('a').replace(
        'spec: {}',
        'spec:\n  allow:\n    rules:\n    - {resources: [user], verbs: [list]}\n    - {resources: [usr], verbs: [list]}',
      ),
      /^f\.yaml:8:\d+: spec\.allow\.rules\.1\.resources: .*did you mean user\?/,
    ],
    [
      'the second document',
      `${role('a')}---\n${role('b').replace('spec', 'spek')}`,
      /^f\.yaml:9:1: unknown key "spek"; did you mean spec\?$/,
    ],
    ['the second of a list', `[${JSON.stringify({ kind: 'role' })},\n {"kind": 1}]`, /^f\.yaml:1:\d+: /],
    ['an alias without its anchor', 'kind: *x\n', /^f\.yaml:1:\d+: .*x/],
  ])('%s', (_, text, expected) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringMatching(expected) as string }),
    );
  });

  it('a kind that is not restored from a file of everything', () => {
    const request = 'kind: access_request\nversion: v3\nmetadata: {name: x}\nspec: {}\n';
    expect(() => readDocuments(request, 'f.yaml', 'bootstrap')).toThrow(
      /^f\.yaml:1:1: .*"access_request" are not written by a file: a person asks again$/,
    );
  });
  it('aliases that would fill the memory are refused', () => {
    const levels = Array.from({ length: 30 }, (_, i) => {
      const many = Array.from({ length: 10 }, () => `*l${i}`).join(', ');
      return `l${i + 1}: &l${i + 1} [${many}]`;
    });
    expect(() => read(`kind: role\nl0: &l0 [x]\n${levels.join('\n')}\n`)).toThrow(
      expect.objectContaining({
        code: 'bad_request',
        message: expect.stringMatching(/^f\.yaml:1:1: Excessive alias count/) as string,
      }),
    );
  });
  it('a file that is too long is not read', () => {
    expect(() => read('#'.repeat(16_000_001))).toThrow(/at most 16000000 characters/);
  });
});
