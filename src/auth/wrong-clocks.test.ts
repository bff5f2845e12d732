import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, second } from '../base/time.ts';
import type { TestAuth } from './testing.ts';
import { WrongClocks } from './wrong-clocks-testing.ts';

type Act = (clocks: WrongClocks, server: TestAuth, pick: number) => Promise<void>;

const acts: Readonly<Record<string, Act>> = {
  createToken: (clocks, server) => clocks.createToken(server),
  joinWith: (clocks, server, pick) => clocks.joinWith(server, pick),
  deleteToken: (clocks, server, pick) => clocks.deleteToken(server, pick),
  toggleUser: (clocks, server) => clocks.toggleUser(server),
  logIn: (clocks, server) => clocks.logIn(server, true),
  failToLogIn: (clocks, server) => clocks.logIn(server, false),
  beat: (clocks, server, pick) => clocks.beat(server, pick % 4),
};

interface Step {
  readonly act: string;
  readonly server: 0 | 1;
  readonly pick: number;
  readonly passMs: number;
  readonly skews: readonly [number, number];
}

async function run(steps: readonly Step[]): Promise<void> {
  const clocks = await WrongClocks.open();
  try {
    for (const { act, server, pick, passMs, skews } of steps) {
      clocks.pass(passMs);
      skews.forEach((skewMs, i) => {
        clocks.setClock(i, skewMs);
      });
      await acts[act]?.(clocks, clocks.servers[server] ?? expect.fail('no server'), pick);
      await clocks.check();
    }
    await clocks.checkAudit(clocks.tokensMade);
  } finally {
    await clocks.close();
  }
}

const at = (act: string, server: 0 | 1, passMs: number, ahead: number, pick = 0): Step => ({
  act,
  server,
  pick,
  passMs,
  skews: [0, ahead],
});

describe('auth servers whose clocks are wrong', () => {
  it.each([
    ['five hours ahead', 5 * hour],
    ['a year ahead', 365 * 24 * hour],
    ['five hours behind', -5 * hour],
  ])(
    'lock nobody out, let nobody in, list and forget nothing wrongly: one %s',
    async (_what, ahead) => {
      const failures = Array.from({ length: 5 }, () => at('failToLogIn', 0, second, ahead));
      await run([
        at('createToken', 1, 0, ahead),
        at('createToken', 0, second, 0),
        at('joinWith', 0, minute, 0, 0),
        at('joinWith', 1, 0, ahead, 1),
        at('toggleUser', 0, second, 0),
        at('logIn', 0, second, 0),
        at('logIn', 1, second, ahead),
        at('toggleUser', 1, second, ahead),
        at('toggleUser', 0, second, 0),
        at('logIn', 0, second, 0),
        ...failures,
        at('logIn', 1, second, ahead),
        at('logIn', 0, 19 * minute, ahead),
        at('logIn', 1, minute, ahead),
        at('beat', 0, second, 0, 1),
        at('beat', 1, second, ahead, 2),
        at('beat', 0, 5 * minute, 0, 1),
        at('beat', 0, 5 * minute, 0, 3),
        at('joinWith', 0, second, 0, 0),
        at('createToken', 0, second, 0),
        at('deleteToken', 0, second, 0, 2),
      ]);
    },
    60_000,
  );

  it('do so however they move', async () => {
    const skew = fc.oneof(
      fc.constant(0),
      fc.integer({ min: -6 * hour, max: 6 * hour }),
      fc.constantFrom(365 * 24 * hour, -365 * 24 * hour),
    );
    const step = fc.record({
      act: fc.constantFrom(...Object.keys(acts), 'failToLogIn', 'failToLogIn', 'failToLogIn'),
      server: fc.constantFrom(0 as const, 1 as const),
      pick: fc.nat(20),
      passMs: fc.oneof(fc.integer({ min: 0, max: 90 * second }), fc.integer({ min: 0, max: 15 * minute })),
      skews: fc.tuple(skew, skew),
    });
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 20 }), run), { numRuns: 8 });
  }, 120_000);
});
