import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { openBackend } from '../../src/process/store/open-backend.ts';
import {
  type StorageLocation,
  storageLocationOf,
  storageSection,
} from '../../src/process/configuration/storage-schema.ts';

/** The `storage:` mapping of teleport.yaml. */
export type Storage = { readonly type: string } & Readonly<Record<string, unknown>>;

export const locationOf = (storage: Storage): StorageLocation =>
  storageLocationOf(storageSection.parse(storage), '');

/** Handles on one store, each as another process would have it; closed together. */
export interface SharedStore {
  readonly storage: Storage;
  driver(): Promise<SlotDriver>;
  /** @param writer host id of whoever writes by it. */
  log(writer: string): Promise<ClusterLog>;
  close(): Promise<void>;
}

/** @param storage default: a directory of its own, removed in the end. */
export function sharedStore(storage?: Storage): SharedStore {
  const dir = mkdtempSync(join(tmpdir(), 'swarm-'));
  const used = storage ?? { type: 'dir', path: join(dir, 'log') };
  const keyring = memoryKeyring();
  const closers: (() => Promise<void>)[] = [];
  const driver = (): Promise<SlotDriver> =>
    openBackend(locationOf(used), { sink: silentLog, world: realWorld });
  return {
    storage: used,
    driver,
    log: async (writer) => {
      const log = await openLog({
        driver: await driver(),
        keyring,
        world: realWorld,
        writer,
        sink: silentLog,
      });
      closers.push(() => log.close());
      return log;
    },
    close: async () => {
      await Promise.all(closers.splice(0).map((close) => close()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
