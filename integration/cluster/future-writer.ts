import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { execute } from '../../src/log/execute.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';

/** A writer of a later release beside those that run: it reads and writes whatever it likes. */
export interface FutureWriter {
  write(stream: StreamName, ...facts: readonly Fact[]): Promise<void>;
  close(): Promise<void>;
}

/** On the store that auth servers share by a directory, with the keys that they have in a file. */
export async function openFutureWriter(store: string, keyFile: string): Promise<FutureWriter> {
  const log: ClusterLog = await openLog({
    driver: await openDirectoryDriver({ path: store }),
    keyring: await openKeyring(keyFile, realWorld),
    world: realWorld,
    writer: 'a later release',
    sink: silentLog,
  });
  return {
    write: async (stream, ...facts) => {
      const anything = {
        fact: { parse: (stored: unknown) => stored as Fact },
        initial: null,
        decide: () => facts,
        evolve: () => null,
      };
      const cause = { at: realWorld.now(), actor: 'admin', requestId: realWorld.uuid() };
      await execute(log.state, anything, stream, null, cause);
    },
    close: () => log.close(),
  };
}
