import { isCoded } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import type { SlotDriver } from '../../../log/slot-driver.ts';
import { openBackend, openBackendForReading } from '../../../process/store/open-backend.ts';
import type { StorageLocation } from '../../../process/configuration/storage-schema.ts';
import type { CliIo } from '../../cli-io.ts';

/** Opens the stores in order, and closes everything that it opened. */
export async function withStores<T>(
  locations: readonly StorageLocation[],
  io: CliIo,
  act: (drivers: readonly SlotDriver[]) => Promise<T>,
): Promise<T> {
  const drivers: SlotDriver[] = [];
  try {
    for (const one of locations) drivers.push(await openBackend(one, { sink: silentLog, world: io.world }));
    return await act(drivers);
  } finally {
    for (const driver of drivers) await driver.close();
  }
}

/** Read only; `act` gets undefined where there is nothing. */
export async function lookingAt<T>(
  location: StorageLocation,
  io: CliIo,
  act: (driver: SlotDriver | undefined) => Promise<T>,
): Promise<T> {
  let driver: SlotDriver | undefined;
  try {
    driver = await openBackendForReading(location, { sink: silentLog, world: io.world });
  } catch (e) {
    if (!isCoded(e, 'not_found')) throw e;
  }
  try {
    return await act(driver);
  } finally {
    await driver?.close();
  }
}

/** @throws CodedError `not_found`: a mistyped path must not become an empty store. */
export const requireLog = async (location: StorageLocation, io: CliIo): Promise<void> =>
  (await openBackendForReading(location, { sink: silentLog, world: io.world })).close();
