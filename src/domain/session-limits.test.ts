import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AccessOptions } from './role-options.ts';
import { limitedBy, sessionLimitsOf, settingsOfLimits, usualSessionLimits } from './session-limits.ts';

const limits = fc.record({
  clientIdleTimeoutSeconds: fc.nat(1_000_000),
  disconnectExpiredCert: fc.boolean(),
  keepAliveMs: fc.nat(100_000).map((s) => s * 1_000),
  keepAliveCountMax: fc.integer({ min: 1, max: 100 }),
});

it('what is declared is read as it was', () => {
  fc.assert(
    fc.property(limits, (one) => {
      expect(sessionLimitsOf(settingsOfLimits(one))).toEqual(one);
    }),
  );
  expect(settingsOfLimits(usualSessionLimits)).toEqual({
    'auth_service.client_idle_timeout': 'never',
    'auth_service.disconnect_expired_cert': 'no',
    'auth_service.keep_alive_interval': '300s',
    'auth_service.keep_alive_count_max': '3',
  });
});

it('what is not known is the usual one, and never an error', () => {
  expect(sessionLimitsOf({})).toEqual(usualSessionLimits);
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(settingsOfLimits(usualSessionLimits))), fc.string()),
      (any) => {
        const read = sessionLimitsOf(any);
        expect(
          Object.values(read).every((one) => typeof one === 'boolean' || (one >= 0 && Number.isFinite(one))),
        ).toBe(true);
      },
    ),
  );
  // A later release may know more ways to end a session at the end of its certificate.
  expect(
    sessionLimitsOf({ 'auth_service.disconnect_expired_cert': 'at_midnight' }).disconnectExpiredCert,
  ).toBe(true);
});

it('a session has the stricter of what its roles and the cluster say', () => {
  const options: AccessOptions = {
    ...{ forwardAgent: true, portForwarding: false, enterOnFullDisk: true, maxSessions: 3 },
    ...{ recordSession: 'usual', clientIdleTimeoutSeconds: 0, disconnectExpiredCert: false },
  };
  const after = (mine: number, all: number) =>
    limitedBy(
      { ...options, clientIdleTimeoutSeconds: mine },
      { ...usualSessionLimits, clientIdleTimeoutSeconds: all },
    ).clientIdleTimeoutSeconds;
  expect([after(0, 0), after(5, 0), after(0, 7), after(5, 7), after(9, 7)]).toEqual([0, 5, 7, 5, 7]);
  expect(limitedBy(options, usualSessionLimits)).toEqual(options);
  const expires = { ...usualSessionLimits, disconnectExpiredCert: true };
  expect(limitedBy(options, expires)).toEqual({ ...options, disconnectExpiredCert: true });
  expect(
    limitedBy({ ...options, disconnectExpiredCert: true }, usualSessionLimits).disconnectExpiredCert,
  ).toBe(true);
});
