import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../base/errors.ts';
import { evaluateWhere, type RuleResource, type WhereSubject } from './evaluate-where.ts';
import { parseWhere } from './where-syntax.ts';

const ann: WhereSubject = { username: 'ann', roles: ['dev', 'ops'], traits: { team: ['red', 'blue'] } };
const node: RuleResource = {
  kind: 'node',
  name: 'db1',
  labels: { env: 'prod', owner: 'ann' },
  authorityType: 'user',
};
const holds = (text: string, resource: RuleResource | undefined = node) =>
  evaluateWhere(parseWhere(text), ann, resource);

describe('a condition', () => {
  it.each([
    ['equals(user.metadata.name, "ann")', 'true'],
    ["equals(user.metadata.name, 'bob')", 'false'],
    ['equals(resource.metadata.name, "db1")', 'true'],
    ['equals(resource.kind, "node")', 'true'],
    ['equals(resource.metadata.labels["owner"], user.metadata.name)', 'true'],
    ['equals(resource.metadata.labels.env, "test")', 'false'],
    ['contains(user.spec.traits["team"], "blue")', 'true'],
    ['contains(user.spec.traits.team, "green")', 'false'],
    ['contains(user.spec.traits["none"], "x")', 'false'],
    ['contains(user.spec.roles, "ops")', 'true'],
    ['equals(user.spec.traits["none"], user.spec.traits["other"])', 'true'],
    ['equals(user.spec.roles, user.spec.traits["team"])', 'false'],
    ['equals(system.catype(), "user")', 'true'],
    ['!equals(system.catype(), "user")', 'false'],
    ['equals("a","a") && equals("b","c")', 'false'],
    ['equals("a","a") && equals("b","b") || equals("c","d")', 'true'],
    ['equals("c","d") || equals("a","a") && equals("b","c")', 'false'],
    ['(equals("a","b") || equals("a","a")) && !(equals("b","c"))', 'true'],
    ['equals("say \\"hi\\"", \'say "hi"\')', 'true'],
  ])('%s is %s', (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  it.each([
    ['equals(resource.metadata.labels["absent"], "x")', 'unknown'],
    ['!equals(resource.metadata.labels["absent"], "x")', 'unknown'],
    ['contains(resource.spec.participants, "ann")', 'unknown'],
    ['contains(resource.metadata.name, "d")', 'unknown'],
    ['contains(user.spec.roles, user.spec.roles)', 'unknown'],
    ['equals(resource.metadata.labels["absent"], "x") && equals("a","b")', 'false'],
    ['equals(resource.metadata.labels["absent"], "x") || equals("a","a")', 'true'],
    ['equals(resource.metadata.labels["absent"], "x") && equals("a","a")', 'unknown'],
    ['equals(resource.metadata.labels["absent"], "x") || equals("a","b")', 'unknown'],
  ])('%s cannot be decided by a part that is not there: %s', (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  it('knows nothing of a resource that is not known yet', () => {
    expect(evaluateWhere(parseWhere('equals(resource.metadata.name, "db1")'), ann, undefined)).toBe(
      'unknown',
    );
    expect(evaluateWhere(parseWhere('equals(resource.kind, "node")'), ann, undefined)).toBe('unknown');
    expect(evaluateWhere(parseWhere('equals(user.metadata.name, "ann")'), ann, undefined)).toBe('true');
  });

  it.each([
    ['', /column 1: expected equals\(…\) or contains\(…\), found the end/],
    ['equals(a, "b")', /column 8: a is not known; known are user\.metadata\.name/],
    ['equals(user.spec.traits, "b")', /column 8: user\.spec\.traits is not known/],
    ['equals("a" "b")', /column 12: expected ,, found "b"/],
    ['equals("a", "b"', /column 16: expected \), found the end/],
    ['equals("a", "b") equals("a", "b")', /column 18: expected && or \|\|, found "equals"/],
    ['equals("a, "b")', /column 13: expected|column 14: a text in quotes that does not end/],
    ['equals("a", 5)', /column 13: "5" has no meaning/],
    ['matches("a", "b")', /column 1: expected equals/],
    ['"equals"("a", "b")', /column 1: expected equals/],
    ['equals(system.catype, "user")', /column 21: expected \(/],
    ['equals(resource.metadata.labels[env], "x")', /expected a text in quotes, found "env"/],
    [`${'!'.repeat(30)}equals("a","b")`, /at most 20 deep/],
    [`equals("a", "${'x'.repeat(1000)}")`, /at most 1000 characters/],
  ])('%s is refused with its place', (text, message) => {
    expect(() => parseWhere(text)).toThrow(message);
  });
});

const path = fc.constantFrom(
  'user.metadata.name',
  'user.spec.roles',
  'user.spec.traits["team"]',
  'user.spec.traits["__proto__"]',
  'resource.kind',
  'resource.metadata.name',
  'resource.metadata.labels["env"]',
  'resource.metadata.labels["constructor"]',
  'resource.spec.roles',
  'resource.spec.traits["team"]',
  'resource.spec.participants',
  'system.catype()',
  '"ann"',
);
const call = fc
  .tuple(fc.constantFrom('equals', 'contains'), path, path)
  .map(([name, a, b]) => `${name}(${a}, ${b})`);
const condition = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    call,
    tie('any').map((a) => `!(${a})`),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => `(${a}) && (${b})`),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => `(${a}) || (${b})`),
  ),
})).any;
const readable = condition.filter((text) => {
  try {
    parseWhere(text);
    return true;
  } catch {
    return false;
  }
});
const resources: fc.Arbitrary<RuleResource | undefined> = fc.constantFrom(
  undefined,
  node,
  { kind: 'user', name: 'bob', roles: ['dev'], traits: { team: [] } },
  { kind: 'session', participants: ['ann'] },
);

describe('any condition', () => {
  it('is read or refused with a code', () => {
    const words = fc.array(
      fc.oneof(fc.string({ maxLength: 3 }), call, fc.constantFrom('(', ')', '&&', '||', '!', '"', '[')),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(words, (parts) => {
        try {
          parseWhere(parts.join(' '));
        } catch (e) {
          expect(isCoded(e, 'bad_request')).toBe(true);
        }
      }),
    );
  });

  it('has a truth whatever it is asked about, and the opposite when it is negated', () => {
    const opposite = { true: 'false', false: 'true', unknown: 'unknown' } as const;
    fc.assert(
      fc.property(readable, resources, (text, resource) => {
        const is = evaluateWhere(parseWhere(text), ann, resource);
        const not = evaluateWhere({ kind: 'not', part: parseWhere(text) }, ann, resource);
        expect(not).toBe(opposite[is]);
      }),
    );
  });
});
