import { describe, expect, it } from 'vitest';
import { certificateFormat, certificatePermits, effectiveTtlSeconds, optionsMerger } from './role-options.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';

type Options = Partial<RoleSpec['options']>;
const roleWith = (options: Options, name = 'r'): RoleSpec =>
  roleSpec.parse({ name, options, allow: {}, deny: {} });

/** What several roles make of one option: those that grant the login, the others, and what holds. */
type Row = readonly [granting: readonly Options[], others: readonly Options[], merged: unknown];
const merge = (granting: readonly Options[], others: readonly Options[]): Record<string, unknown> => {
  const grants = granting.map((one) => roleWith(one));
  const rest = others.map((one) => roleWith(one));
  const forwards = optionsMerger([...grants, ...rest])(new Set(grants.keys()));
  const backwards = optionsMerger([...rest, ...grants])(new Set(grants.map((_, at) => rest.length + at)));
  expect(backwards).toEqual(forwards);
  return { ...forwards };
};

const table: Readonly<Record<string, readonly Row[]>> = {
  forwardAgent: [
    [[{}], [], false],
    [[{ forwardAgent: true }, {}], [], true],
    [[{}], [{ forwardAgent: true }], false],
  ],
  portForwarding: [
    [[{}], [], true],
    [[{ portForwarding: false }], [], false],
    [[{ portForwarding: false }, { portForwarding: true }], [], true],
    [[{ portForwarding: false }], [{ portForwarding: true }], true],
    [[{ portForwarding: false }], [{ portForwarding: false }], false],
  ],
  disconnectExpiredCert: [
    [[{}], [], false],
    [[{ disconnectExpiredCert: true }, {}], [], true],
    [[{}], [{ disconnectExpiredCert: true }], true],
  ],
  clientIdleTimeoutSeconds: [
    [[{}], [], 0],
    [[{ clientIdleTimeoutSeconds: 60 }, {}], [], 60],
    [[{ clientIdleTimeoutSeconds: 60 }, { clientIdleTimeoutSeconds: 30 }], [], 30],
    [[{ clientIdleTimeoutSeconds: 60 }], [{ clientIdleTimeoutSeconds: 30 }], 30],
  ],
  maxSessions: [
    [[{}], [], 0],
    [[{ maxSessions: 4 }, {}], [], 4],
    [[{ maxSessions: 4 }, { maxSessions: 2 }], [], 2],
    [[{ maxSessions: 4 }], [{ maxSessions: 1 }], 1],
  ],
  recordSession: [
    [[{}], [], 'usual'],
    [[{ recordSession: 'best_effort' }, {}], [], 'best_effort'],
    [[{ recordSession: 'best_effort' }], [{ recordSession: 'strict' }], 'strict'],
  ],
  enterOnFullDisk: [
    [[{}], [], false],
    [[{ enterOnFullDisk: true }, {}], [], true],
    [[{}], [{ enterOnFullDisk: true }], false],
  ],
};

describe('an option of several roles', () => {
  it('is in the table, whichever it is', () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(optionsMerger([])(new Set())).sort());
  });
  it.each(Object.entries(table).flatMap(([option, rows]) => rows.map((row) => [option, ...row] as const)))(
    '%s: %j and %j make %j',
    (option, granting, others, merged) => {
      expect(merge(granting, others)[option]).toBe(merged);
    },
  );

  it('makes the life of a certificate the shortest, and never longer than asked for', () => {
    const short = roleWith({ maxSessionTtlSeconds: 3_600 });
    expect(effectiveTtlSeconds([roleWith({}), short], 7_200)).toBe(3_600);
    expect(effectiveTtlSeconds([roleWith({}), short], 60)).toBe(60);
    expect(effectiveTtlSeconds([roleWith({})], 40 * 3_600)).toBe(30 * 3_600);
  });

  it('permits in a certificate what any role permits: servers decide by the login', () => {
    const closed = roleWith({ portForwarding: false });
    const agent = roleWith({ portForwarding: false, forwardAgent: true });
    expect(certificatePermits([closed])).toEqual({
      pty: true,
      portForwarding: false,
      agentForwarding: false,
    });
    expect(certificatePermits([closed, agent])).toMatchObject({ agentForwarding: true });
    expect(certificatePermits([closed, roleWith({})])).toMatchObject({ portForwarding: true });
  });

  it.each<[Options['certFormat'], 'standard' | 'oldssh', 'standard' | 'oldssh']>([
    [undefined, 'standard', 'standard'],
    [undefined, 'oldssh', 'oldssh'],
    ['standard', 'standard', 'standard'],
    ['standard', 'oldssh', 'oldssh'],
    ['oldssh', 'standard', 'oldssh'],
    ['oldssh', 'oldssh', 'oldssh'],
  ])('makes certificates: %s in one role, asked for %s, gives %s', (certFormat, asked, given) => {
    const role = roleWith(certFormat === undefined ? {} : { certFormat });
    expect(certificateFormat([roleWith({}), role], asked)).toBe(given);
    expect(certificateFormat([role, roleWith({ certFormat: 'standard' })], asked)).toBe(given);
  });
});
