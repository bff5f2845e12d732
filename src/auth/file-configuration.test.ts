import { describe, expect, it } from 'vitest';
import type { SecondFactor } from '../domain/cluster.ts';
import { readAuthPreference } from './cluster/read-auth-preference.ts';
import { readClusterStatus } from './cluster/read-cluster-status.ts';
import { adminCall, eventsOf, openTestAuth, type TestAuth } from './testing.ts';

const [idOfA, idOfB] = ['a', 'b'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);
const start = (nodename: string, secondFactor: SecondFactor, beside?: TestAuth): Promise<TestAuth> =>
  openTestAuth({
    nodename,
    hostId: (nodename === 'a' ? idOfA : idOfB) ?? '',
    secondFactor,
    ...(beside && { log: beside.log, world: beside.world }),
  });
const warnings = ({ sink }: TestAuth): string[] => sink.lines.filter((line) => line.startsWith('warn'));
const key = 'auth_service.authentication.second_factor';

describe('two auth servers whose files differ', () => {
  it('name the key in both logs and in the status, and the older value stands', async () => {
    const a = await start('a', 'otp');
    const b = await start('b', 'off', a);
    for (const auth of [a, b]) {
      await auth.deps.views.fresh();
      expect((await readAuthPreference(auth.deps, adminCall, {})).secondFactor).toBe('otp');
      expect(warnings(auth)).toEqual([expect.stringContaining(`${key}: "otp" stands; b says "off"`)]);
      expect((await readClusterStatus(auth.deps, adminCall, {})).drift).toEqual([
        { key, standing: 'otp', others: [{ hostId: idOfB, nodename: 'b', value: 'off' }] },
      ]);
    }
    for (const auth of [b, a]) await auth.close();
  });

  it('agree once both files say the new value', async () => {
    const a = await start('a', 'otp');
    const b = await start('b', 'off', a);
    await a.close();
    const again = await start('a', 'off', b);
    await b.deps.views.fresh();
    for (const auth of [again, b]) {
      expect((await readAuthPreference(auth.deps, adminCall, {})).secondFactor).toBe('off');
      expect((await readClusterStatus(auth.deps, adminCall, {})).drift).toEqual([]);
    }
    expect(b.sink.lines.at(-1)).toContain(`agree on ${key} again`);
    for (const auth of [again, b]) await auth.close();
  });

  it('start at once: one value stands, the other is named, nothing is written twice', async () => {
    const first = await start('a', 'otp');
    await first.close();
    const both = await Promise.all([start('a', 'otp', first), start('b', 'off', first)]);
    for (const auth of both) {
      await auth.deps.views.fresh();
      expect((await readClusterStatus(auth.deps, adminCall, {})).drift).toHaveLength(1);
    }
    const declared = (await eventsOf(first.log, 'state')).filter(
      ({ fact }) => fact.type === 'configuration.declared',
    );
    expect(declared).toHaveLength(2);
    for (const auth of both) await auth.close();
  });
});

describe('an auth server that is gone', () => {
  it('has no say any more', async () => {
    const a = await start('a', 'otp');
    a.deps.presence.renew({ hostId: idOfA ?? '', role: 'Auth' }, 0);
    await a.close();
    const b = await start('b', 'off', a);
    expect((await readAuthPreference(b.deps, adminCall, {})).secondFactor).toBe('off');
    expect((await readClusterStatus(b.deps, adminCall, {})).drift).toEqual([]);
    await b.close();
  });
});
