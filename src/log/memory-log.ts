import { silentLog } from '../base/log-sink.ts';
import { realWorld, type World } from '../base/world.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver } from './memory-driver.ts';
import { emptyLog } from './open-log.ts';

/** The real log over a store in memory, empty at first: for tests. */
export const memoryLog = ({ world = realWorld }: { readonly world?: World } = {}): ClusterLog =>
  emptyLog({
    driver: memoryDriver(),
    keyring: memoryKeyring(world),
    world,
    writer: 'memory',
    sink: silentLog,
  });
