import { CodedError } from '../../../base/errors.ts';
import { silentLog, type LogSink } from '../../../base/log-sink.ts';
import { type Keyring, newKey } from '../../../log/keyring.ts';
import { changeKeyringFile } from '../../../log/keyring-file.ts';
import { addStoreKey, removeStoreKeys } from '../../../log/keyring-store.ts';
import { openLog } from '../../../log/open-log.ts';
import { findOrphans } from '../../../log/orphans.ts';
import { dataKeyIds, destroyDataKeys } from '../../../log/data-keys.ts';
import { rewrapVault, type Survey, surveyVault } from '../../../log/rewrap.ts';
import type { SlotDriver } from '../../../log/slot-driver.ts';
import { openBackend } from '../../../process/store/open-backend.ts';
import { openLogKeyring, type SealingKeys, sealingKeysOf } from '../../../process/store/open-keyring.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import { configurationOf } from '../connect.ts';

interface RekeyFlags {
  readonly use: string | undefined;
  readonly removeOld: boolean;
}

interface Rekeying {
  readonly io: CliIo;
  readonly driver: SlotDriver;
  readonly keyring: Keyring;
  readonly sealing: SealingKeys;
  readonly survey: Survey;
}

/**
 * `tctl log rekey`: a new key-encryption key, and all data keys under it; on the store itself, beside running
 * auth servers. An unfinished earlier run is finished before anything new is made.
 */
export async function rekeyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const chosen = ['dry-run', 'prepare', 'use', 'remove-old'].filter((flag) => invocation.given(flag));
  if (chosen.length > 1)
    throw new CodedError('bad_request', `--${chosen.join(' and --')} do not go together: one at a time`);
  const configuration = configurationOf(invocation, io);
  const sink: LogSink = {
    ...silentLog,
    warn: (message) => {
      io.stderr.write(`warning: ${message}\n`);
    },
  };
  const driver = await openBackend(configuration.storage, { sink, world: io.world });
  try {
    const { vault } = driver;
    await refuseEmpty(driver);
    const sealing = await sealingKeysOf(configuration, driver, io.world);
    const keyring = await openLogKeyring(configuration, { store: driver, world: io.world, sink });
    const survey = await surveyVault(vault);
    const rekeying: Rekeying = { io, driver, keyring, sealing, survey };
    if (invocation.on('dry-run')) await tell(rekeying);
    else if (invocation.on('prepare')) await prepare(rekeying);
    else await rewrap(rekeying, { use: invocation.text('use'), removeOld: invocation.on('remove-old') });
    const orphans = invocation.text('orphans');
    if (orphans !== 'skip') await tellOrphans(rekeying, orphans === 'remove' && !invocation.on('dry-run'));
    return 0;
  } finally {
    await driver.close();
  }
}

/** A mistyped path must not create a store. */
async function refuseEmpty(driver: SlotDriver): Promise<void> {
  if ((await dataKeyIds(driver.vault)).length === 0)
    throw new CodedError('not_found', `no secrets are stored at ${driver.report().place}`);
}

async function tell({ io, keyring, survey }: Rekeying): Promise<void> {
  const newest = await keyring.newest();
  for (const [name, count] of survey) {
    const state = name === newest ? 'newest' : (await keyring.holds(name)) ? 'older' : 'NOT HELD HERE';
    io.stdout.write(`${name}  ${count} data keys  ${state}\n`);
  }
}

/** A key that opens and does not seal yet: for keyring files that are copied from machine to machine. */
async function prepare({ io, sealing }: Rekeying): Promise<void> {
  if (sealing.status !== 'file')
    throw new CodedError('bad_request', '--prepare: the keys are not in a file, there is nothing to copy');
  const key = newKey(io.world);
  // The newest is the last.
  await changeKeyringFile(sealing.path, (known) => [key, ...known]);
  io.stdout.write(
    `The key ${key.id} was added to ${sealing.path}; nothing is sealed under it yet.\n` +
      `Copy the file to every auth server, then run: tctl log rekey --use=${key.id}\n`,
  );
}

async function rewrap(rekeying: Rekeying, { use, removeOld }: RekeyFlags): Promise<void> {
  const { io, driver, keyring } = rekeying;
  if (use !== undefined) await useKey(rekeying, use);
  else if (!removeOld) await makeKey(rekeying);
  const { under, rewrapped, stuck } = await rewrapVault(driver.vault, keyring, (done) => {
    io.stderr.write(`${done} data keys rewrapped\n`);
  });
  io.stdout.write(`${rewrapped} data keys were rewrapped; ${under} seals now\n`);
  if (stuck.length > 0)
    throw new ExitStatus(
      1,
      [
        `${stuck.length} data keys could not be opened, and stay as they are; no key was removed:`,
        ...stuck.slice(0, 10).map(({ keyId, reason }) => `  ${keyId}: ${reason}`),
      ].join('\n'),
    );
  if (removeOld) await removeOldKeys(rekeying, under);
  else
    io.stdout.write(
      'Older keys still open. When every auth server has the newest: tctl log rekey --remove-old\n',
    );
}

async function useKey({ sealing }: Rekeying, id: string): Promise<void> {
  if (sealing.status !== 'file') throw new CodedError('bad_request', '--use: the keys are not in a file');
  await changeKeyringFile(sealing.path, (keys) => {
    const key = keys.find((one) => one.id === id);
    if (key === undefined) throw new CodedError('not_found', `--use: ${sealing.path} has no key ${id}`);
    return [...keys.filter((one) => one !== key), key];
  });
}

/** Only when everything is sealed under the newest key: otherwise an earlier run is finished first. */
async function makeKey({ io, driver, keyring, sealing, survey }: Rekeying): Promise<void> {
  const newest = await keyring.newest();
  if ([...survey.keys()].some((name) => name !== newest)) {
    io.stdout.write(`Not all data keys are wrapped by the newest key yet: no other key is made\n`);
    return;
  }
  switch (sealing.status) {
    case 'file': {
      const key = newKey(io.world);
      await changeKeyringFile(sealing.path, (keys) => [...keys, key]);
      io.stdout.write(`The key ${key.id} was added to ${sealing.path}\n`);
      return;
    }
    case 'store':
      io.stdout.write(`The key ${await addStoreKey(driver, io.world)} was added to the store\n`);
      return;
    case 'kms':
      io.stdout.write(`${newest} is the key service's own to rotate: nothing is made here\n`);
  }
}

/**
 * Nothing is sealed under them any more: that was checked just before, and newer secrets are under the newest
 * key.
 */
async function removeOldKeys({ io, driver, sealing }: Rekeying, newest: string): Promise<void> {
  const left = [...(await surveyVault(driver.vault)).keys()].filter((name) => name !== newest);
  if (left.length > 0)
    throw new CodedError(
      'conflict',
      `an auth server has sealed under ${left.join(', ')} just now: give it the newest key first; no key was removed`,
    );
  const removed: string[] = [];
  if (sealing.status === 'file')
    await changeKeyringFile(sealing.path, (keys) => {
      removed.push(...keys.filter((one) => one.id !== newest).map((one) => one.id));
      return keys.filter((one) => one.id === newest);
    });
  removed.push(...(await removeStoreKeys(driver, (id) => id !== newest)));
  io.stdout.write(
    removed.length === 0 ? 'There was no older key\n' : `Removed for good: ${removed.join(', ')}\n`,
  );
}

async function tellOrphans({ io, driver, keyring }: Rekeying, remove: boolean): Promise<void> {
  // Read to its end and never followed: only the driver needs closing, which our caller does.
  const log = await openLog({ driver, keyring, world: io.world, writer: 'tctl', sink: silentLog });
  const found = await findOrphans(driver.vault, log, io.world.now());
  if (found.length === 0) return;
  if (remove) await destroyDataKeys(driver.vault, found);
  io.stdout.write(
    remove
      ? `${found.length} data keys that no event refers to were removed\n`
      : `${found.length} data keys are older than a day and no event refers to them: --orphans=remove\n`,
  );
}
