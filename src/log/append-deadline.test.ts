import { describe, expect, it } from 'vitest';
import type { Deadline } from '../base/deadline.ts';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { add, cause, fact, keyring, open } from './copy-testing.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';

describe('an append for which nobody waits any more', () => {
  it.each([{ secret: false }, { secret: true }])(
    'is not sent again when another has its slot (with a secret: $secret)',
    async ({ secret }) => {
      const store = memoryStore();
      const elsewhere = await open(store);
      let over = false;
      const deadline: Deadline = { begin: () => undefined, isOver: () => over };
      const driver = memoryDriver(store);
      const slow: SlotDriver = {
        ...driver,
        append: async (...args) => {
          if (!over) {
            // Its caller has gone to another server meanwhile, which did the same for it.
            over = true;
            await add(elsewhere, 'state', 'token-2', fact(1));
          }
          return driver.append(...args);
        },
      };
      const log = await openLog({ driver: slow, keyring, world: realWorld, writer: 'w', sink: silentLog });
      const one = secret ? { ...fact(1), secrets: { key: Buffer.from('the key') } } : fact(1);
      await expect(
        log.state.append([{ stream: 'token-1', expected: 0, facts: [one] }], cause, { deadline }),
      ).rejects.toMatchObject({ code: 'unavailable' });
      expect(await log.state.head()).toBe(1);
      await log.close();
      await elsewhere.close();
    },
  );
});
