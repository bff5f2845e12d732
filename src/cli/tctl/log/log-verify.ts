import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError, isCoded, messageOf } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import { isArchive, openArchive } from '../../../log/archive-read.ts';
import { type Authenticity, readAuthenticity } from '../../../log/authenticity.ts';
import type { SlotDriver } from '../../../log/slot-driver.ts';
import { type LogKey, parseLogKey } from '../../../log/signed-head.ts';
import type { WitnessedHead } from '../../../log/verify-heads.ts';
import { verifyLog as verify, type Verification, type VerifyOptions } from '../../../log/verify.ts';
import { type ObjectLocation, objectLocationOf } from '../../../process/configuration/object-location.ts';
import { openBackendForReading, openObjects } from '../../../process/store/open-backend.ts';
import { keyringForMacs, sealingKeysOf } from '../../../process/store/open-keyring.ts';
import { placeOf, type StorageLocation } from '../../../process/configuration/storage-schema.ts';
import { readWitness } from '../../../process/witness/witness-read.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import { configurationOf } from '../connect.ts';
import { RecordedSessions, recordingsOf } from './recorded-sessions.ts';
import { type MacsLookedAt, macNotes, partitionText, witnessText } from './log-verify-text.ts';

/**
 * `tctl log verify`, of a store or of an exported file: exits 1 when a batch is not what was written, or not
 * what was signed, naming partition and slot.
 */
export async function verifyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const trusted = givenKeys(invocation.list('public-key'));
  const { storage, witnesses, archive: place, recordings } = subjectOf(invocation, io);
  const say = (line: string): boolean => io.stdout.write(`${line}\n`);
  // Before the store is read, so that heads signed in the meantime are no surprise.
  const witnessed: WitnessedHead[] = [];
  const notes: (() => void)[] = [];
  for (const given of witnesses) {
    const kept = await readWitness(given);
    for (const head of kept.heads) witnessed.push(head);
    notes.push(() => say(witnessText(kept)));
  }
  const { driver, madeAt } = await openSubject(storage, io);
  const archive = place && (await openObjects(place, { reading: true }));
  try {
    const { macs, authenticity } = await macsOf(invocation, io, driver);
    const options: VerifyOptions = {
      authenticity,
      witnessed,
      archive,
      ...(trusted.length > 0 && { trusted }),
      ...(madeAt !== undefined && { madeAt }),
    };
    const recorded = new RecordedSessions(recordings);
    const found = await verify(driver, { ...options, seen: recorded.seen });
    for (const partition of found.partitions) say(partitionText(partition, macs));
    for (const { keyId, publicKey } of found.keys) say(`key ${keyId}: ${publicKey}`);
    for (const note of notes) note();
    for (const line of macNotes(macs, found.partitions)) say(line);
    return outcomeOf(found, await recorded.faults(io), storage, io);
  } finally {
    await driver.close();
    await archive?.close();
  }
}

/** @throws ExitStatus when anything is bad; the rest of it is printed before. */
function outcomeOf(
  found: Verification,
  ofRecordings: readonly string[],
  storage: StorageLocation,
  io: CliIo,
): number {
  const ofLog = faultsOf(found).map((fault) => `${placeOf(storage)}: ${fault}`);
  const faults = [...ofLog, ...ofRecordings];
  if (faults.length === 0) {
    io.stdout.write('ok\n');
    return 0;
  }
  const [last, ...others] = faults.reverse();
  for (const other of others.reverse()) io.stderr.write(`error: ${other}\n`);
  throw new ExitStatus(1, last ?? '');
}

interface Subject {
  readonly storage: StorageLocation;
  readonly witnesses: readonly string[];
  readonly archive: ObjectLocation | undefined;
  /** Undefined: they are not looked at. */
  readonly recordings: ObjectLocation | undefined;
}

/** The configured store is verified with its archive and the files of its witnesses, as far as they exist. */
function subjectOf(invocation: Invocation, io: CliIo): Subject {
  const given = invocation.arg('directory');
  const witnesses = invocation.list('witness');
  const named = invocation.text('archive');
  const archive = named === undefined ? undefined : objectLocationOf(named);
  const recordings = recordingsOf(invocation, io);
  if (given !== undefined)
    return { storage: { type: 'dir', path: resolve(given) }, witnesses, archive, recordings };
  const { storage, file } = configurationOf(invocation, io);
  const rest = { storage, archive: archive ?? file.auth_service.audit_archive, recordings };
  if (witnesses.length > 0) return { ...rest, witnesses };
  const configured = file.teleport.storage.witness.filter(
    (one) => one.startsWith('file:') && existsSync(fileURLToPath(one)),
  );
  return { ...rest, witnesses: configured };
}

async function openSubject(
  storage: StorageLocation,
  io: CliIo,
): Promise<{ readonly driver: SlotDriver; readonly madeAt: string | undefined }> {
  if (storage.type === 'dir' && (await isArchive(storage.path))) {
    const { driver, header } = await openArchive(storage.path);
    return { driver, madeAt: header.exportedAt };
  }
  const driver = await openBackendForReading(storage, { sink: silentLog, world: io.world });
  return { driver, madeAt: undefined };
}

/** With the keyring of the configuration, where it is available: without it everything else is checked. */
async function macsOf(
  invocation: Invocation,
  io: CliIo,
  driver: SlotDriver,
): Promise<{ readonly macs: MacsLookedAt; readonly authenticity?: Authenticity | undefined }> {
  const env = { store: driver, world: io.world, sink: silentLog };
  try {
    const configuration = configurationOf(invocation, io);
    const keyring = await keyringForMacs(configuration, env);
    const authenticity = await readAuthenticity({ vault: driver.vault, keyring });
    if (authenticity === undefined) return { macs: { status: 'no key' } };
    const sealing = await sealingKeysOf(configuration, driver, io.world);
    const storeHoldsKeys = sealing.status === 'store';
    return { macs: { status: 'checked', storeHoldsKeys }, authenticity };
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { macs: { status: 'not checked', reason: messageOf(e) } };
  }
}

function givenKeys(given: readonly string[]): LogKey[] {
  return given.map((text) => {
    if (text.startsWith('ed25519:')) return parseLogKey(text);
    try {
      return parseLogKey(readFileSync(text, 'utf8'));
    } catch (e) {
      const why = `neither ed25519:… nor a file that holds that (${messageOf(e)})`;
      throw new CodedError('bad_request', `--public-key: ${text} is ${why}`, { cause: e });
    }
  });
}

function faultsOf({ bad, findings, partitions }: Verification): string[] {
  const text = (one: { partition: string; slot: number; reason: string }): string =>
    `${one.partition}, slot ${one.slot}: ${one.reason}`;
  return [
    ...(bad ? [text(bad)] : []),
    ...findings.map(text),
    ...partitions.flatMap(({ partition, damagedSnapshots }) =>
      damagedSnapshots.map(({ slot, reason }) => `${partition}, snapshot at slot ${slot}: ${reason}`),
    ),
  ];
}
