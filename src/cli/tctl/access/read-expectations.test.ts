import { describe, expect, it } from 'vitest';
import { readExpectations } from './read-expectations.ts';

describe('a file of expectations', () => {
  it('is a list, in YAML or JSON, each with its place', () => {
    const text = [
      '# what must stay so',
      '- { user: alice, login: root, node: web-1, expect: allow }',
      '- user: bob',
      '  login: root',
      '  labels: { env: prod }',
      '  expect: deny',
    ].join('\n');
    const read = readExpectations(text, 'a.yaml');
    expect(read.map(({ place }) => place)).toEqual(['a.yaml:2:3', 'a.yaml:3:3']);
    expect(read.map(({ expectation }) => ({ ...expectation, labels: { ...expectation.labels } }))).toEqual([
      { user: 'alice', login: 'root', node: 'web-1', labels: {}, expect: 'allow' },
      { user: 'bob', login: 'root', labels: { env: 'prod' }, expect: 'deny' },
    ]);
    const json = '[{"user": "a", "login": "b", "node": "c", "expect": "deny"}]';
    expect(readExpectations(json, 'a.json')).toHaveLength(1);
    expect(readExpectations('[]', 'a')).toEqual([]);
  });

  it.each([
    ['- { user: a, login: b, expect: allow }', /^f:1:3: either node .* or labels/],
    ['- { user: a, login: b, node: c, labels: {}, expect: allow }', /^f:1:3: either node .* or labels/],
    ['- { user: a, login: b, node: c, expect: yes }', /^f:1:33: either allow or deny$/],
    [
      '- { user: a, login: b, node: c, expcet: deny }',
      /^f:1:33: unknown key "expcet"; did you mean expect\?$/,
    ],
    ['- { user: 7, login: b, node: c, expect: deny }', /^f:1:5: .*expected string/],
    ['user: a', /^f:1:1: a list of expectations/],
    ['- {', /^f:1:\d+: /],
    ['- *nothing', /^f:1:\d+: /],
    ['', /^f:1:1: a list of expectations/],
  ])('is refused with the place of its first fault: %s', (text, why) => {
    expect(() => readExpectations(text, 'f')).toThrow(why);
  });
});
