import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRoleSpec } from './check-role-spec.ts';
import { expandLogin, parseLoginTemplate, usesFunction } from './login-template.ts';
import { isUnixLogin } from './names.ts';
import { roleSpec } from './role-spec.ts';

const mail = ['ann@example.com', 'Bob Ray <bob@example.org>'];
const traits = { logins: ['ann'], mail, team: ['Red Team', 'blue'], host: ['web1.example.com', ''] };

describe('a template of logins', () => {
  it.each<[string, readonly string[]]>([
    ['root', ['root']],
    ['x-{{ internal.logins }}', ['x-ann']],
    ['{{external.team}}', ['blue']],
    ['{{email.local(external.mail)}}', ['ann', 'bob']],
    ['m-{{ email.local( external.mail ) }}-x', ['m-ann-x', 'm-bob-x']],
    ['{{email.local(internal.logins)}}', []],
    ['{{email.local(external.nothing)}}', []],
    [String.raw`{{regexp.replace(external.mail, "^(.*)@example\\.com$", "$1")}}`, ['ann']],
    ['{{regexp.replace(external.mail, `^(.*)@example\\.com$`, `$1`)}}', ['ann']],
    ['{{regexp.replace(external.host, "^([a-z]+)([0-9]{1,2})[.].*$", "${1}x$2")}}', ['webx1']],
    ['{{regexp.replace(external.team, "^([A-Z])([a-z]*) (?:.*)$", "$2$1")}}', ['edR']],
    ['{{regexp.replace(external.team, "^blue$", "b$$")}}', ['b$']],
    ['{{regexp.replace(external.team, "^blue$", "")}}', []],
    ['p-{{regexp.replace(external.team, "^blue$", "")}}', []],
    ['{{regexp.replace(external.constructor, "^.*$", "root")}}', []],
  ])('%s gives %j', (text, logins) => {
    expect(expandLogin(text, traits)).toEqual(logins);
  });

  it.each([
    ['no address', 'ann'],
    ['two signs', 'a@b@c'],
    ['an open bracket', 'Ann <ann@example.com'],
    ['only a closing one', 'ann@example.com>'],
    ['a text behind it', 'ann@example.com root'],
    ['two addresses', 'ann@example.com,bob@example.com'.replace(',', ' ')],
    ['nothing before the sign', '@example.com'],
  ])('takes no login from %s', (_name, value) => {
    expect(expandLogin('{{email.local(external.mail)}}', { mail: [value] })).toEqual([]);
  });

  it.each<[string, RegExp]>([
    ['{{internal.groups}}', /is not a template/],
    ['{{external}}', /is not a template/],
    ['{{external.a}}{{external.b}}', /is not a template/],
    ['{{email.domain(external.a)}}', /is not a template/],
    ['{{email.local(email.local(external.a))}}', /is not a template/],
    ['{{email.local(internal.groups)}}', /is not a template/],
    ['{{regexp.replace(external.a, "^x$")}}', /is not a template/],
    ['{{regexp.replace(external.a, ^x$, "y")}}', /is not a template/],
    ['{{regexp.replace(external.a, "@.*$", "")}}', /has to match the whole value: write "\^…\$"/],
    [String.raw`{{regexp.replace(external.a, "^a\.b$", "x")}}`, /written twice: \\\\\., not \\\./],
    ['{{regexp.replace(external.a, "^(a)$", "$2")}}', /has \$2, and the pattern has one group/],
    ['{{regexp.replace(external.a, "^a$", "$1")}}', /has \$1, and the pattern has no group/],
    ['{{regexp.replace(external.a, "^(a)$", "$1x")}}', /write \$\{1\}/],
    ['{{regexp.replace(external.a, "^(a)$", "$name")}}', /is no group/],
    ['{{regexp.replace(external.a, "^(?P<n>a)$", "x")}}', /only \(\?:…\) is supported/],
    ['{{regexp.replace(external.a, "^(?i)a$", "x")}}', /only \(\?:…\) is supported/],
    [String.raw`{{regexp.replace(external.a, "^(a)\\1$", "x")}}`, /\\1 is not supported/],
    ['{{regexp.replace(external.a, "^((a{100}){100}){100}$", "x")}}', /too large/],
    ['*-{{external.a}}', /wildcard/],
    [`{{external.${'a'.repeat(1_000)}}}`, /longer than 1000/],
  ])('%s is refused with the reason, in allow and in deny', (text, message) => {
    for (const side of ['allow', 'deny'] as const) {
      const role = roleSpec.parse({
        name: 'r',
        options: {},
        allow: {},
        deny: {},
        [side]: { logins: [text] },
      });
      expect(() => {
        checkRoleSpec(role);
      }).toThrow(message);
    }
    expect(expandLogin(text, { a: ['a'] })).toEqual([]);
  });

  it('may have a star in its pattern', () => {
    const logins = ['{{regexp.replace(external.mail, "^(.*)@x$", "$1")}}'];
    expect(() => {
      checkRoleSpec(roleSpec.parse({ name: 'r', options: {}, allow: { logins }, deny: {} }));
    }).not.toThrow();
  });

  it('with a function is one that earlier releases cannot read', () => {
    expect(usesFunction('{{email.local(external.mail)}}')).toBe(true);
    expect(usesFunction('{{external.mail}}')).toBe(false);
    expect(usesFunction('root')).toBe(false);
    expect(usesFunction('{{sha256(external.mail)}}')).toBe(false);
  });
});

const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('ann@example.com', '-rf', 'a b', '', 'A <a@b>', 'x'.repeat(40), '*', '$1'),
);
const piece = fc.constantFrom(
  ...['{{', '}}', '{', '}', 'external.a', 'internal.logins', 'email.local(', 'regexp.replace(', ')', ', '],
  ...['"^(.*)@.*$"', '"$1"', '"^(a|b)*$"', '`^.*$`', '"', '`', '\\', '$', 'x', '-', '*', ' '],
);
const template = fc.oneof(
  fc.array(piece, { maxLength: 10 }).map((parts) => parts.join('')),
  fc.constantFrom(
    '{{external.a}}',
    '-{{external.a}}',
    '{{email.local(external.a)}}',
    '{{regexp.replace(external.a, "^(.*)$", "$1")}}',
    '{{regexp.replace(external.a, "^(.)(.*)$", "$2$1")}}',
    'x{{regexp.replace(external.a, "^[^@]*(@?)(.*)$", "${2}_$1")}}',
  ),
);

describe('any template, with any values', () => {
  it('gives valid unix logins only, and never throws', () => {
    fc.assert(
      fc.property(template, fc.array(value, { maxLength: 4 }), (text, a) => {
        const logins = expandLogin(text, { a, logins: a });
        expect(logins.filter((one) => !isUnixLogin(one))).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });
  it('is read, or refused with a code', () => {
    fc.assert(
      fc.property(template, (text) => {
        try {
          parseLoginTemplate(text);
        } catch (e) {
          expect(e).toMatchObject({ name: 'CodedError', code: 'bad_request' });
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
