import { readRecovery, recoverLog } from '../../../api/operations/log.ts';
import { CodedError } from '../../../base/errors.ts';
import { type LogSink, silentLog } from '../../../base/log-sink.ts';
import { minute } from '../../../base/time.ts';
import type { World } from '../../../base/world.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { type Keyring, noKeyring } from '../../../log/keyring.ts';
import { openLog } from '../../../log/open-log.ts';
import { recoverCluster, reportCluster } from '../../../log/recover-cluster.ts';
import type { RecoveryStep } from '../../../log/recovery-report.ts';
import type { SlotDriver } from '../../../log/slot-driver.ts';
import type { Configuration } from '../../../process/configuration/configuration.ts';
import { readKnownPlaces, writeKnownPlaces } from '../../../process/store/known-places.ts';
import { openBackend, openBackendForReading } from '../../../process/store/open-backend.ts';
import { keyringForMacs } from '../../../process/store/open-keyring.ts';
import { placeOf } from '../../../process/configuration/storage-schema.ts';
import { lookForWitnessed } from '../../../process/witness/witnessed-places.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf, withAuth } from '../connect.ts';
import { recoveredText, reportText } from './log-recover-text.ts';

type Report = OutputOf<typeof readRecovery>['partitions'];
type Recovered = OutputOf<typeof recoverLog>['partitions'];

/**
 * `tctl log recover`: for a log whose store was restored from a backup. Prints what is known and changes
 * nothing, unless `--give-back` or `--go-on` is given.
 */
export async function recover(invocation: Invocation, io: CliIo): Promise<number> {
  const step = stepOf(invocation);
  if (invocation.on('offline')) return offline(invocation, io, step);
  return withAuth(
    invocation,
    io,
    async (auth) => {
      if (step === undefined) {
        const { hostId, partitions } = await auth.call(readRecovery, {});
        io.stdout.write(reportText({ who: `auth server ${hostId}`, offline: false }, partitions));
        return 0;
      }
      const { hostId, partitions } = await auth.call(recoverLog, { step });
      io.stdout.write(recoveredText(`auth server ${hostId}`, partitions));
      return 0;
    },
    { callTimeoutMs },
  );
}

/** Everything that a server holds may have to be written to a slow store. */
const callTimeoutMs = 10 * minute;

function stepOf(invocation: Invocation): RecoveryStep | undefined {
  const [giveBack, goOn] = [invocation.on('give-back'), invocation.on('go-on')];
  if (giveBack && goOn) throw new CodedError('bad_request', '--give-back and --go-on exclude each other');
  return giveBack ? 'give back' : goOn ? 'go on' : undefined;
}

async function keyringOf(
  configuration: Configuration,
  driver: SlotDriver,
  {
    step,
    ...env
  }: { readonly world: World; readonly sink: LogSink; readonly step: RecoveryStep | undefined },
): Promise<Keyring> {
  if (step === undefined) return noKeyring;
  try {
    return await keyringForMacs(configuration, { store: driver, ...env });
  } catch (e) {
    await driver.close();
    throw e;
  }
}

/** From this machine's own file of known places, when no auth server runs: nothing can be given back then. */
async function offline(invocation: Invocation, io: CliIo, step: RecoveryStep | undefined): Promise<number> {
  const configuration = configurationOf(invocation, io);
  const { file, storage, dataDir } = configuration;
  if (step === 'give back')
    throw new CodedError(
      'bad_request',
      'only a running auth server still holds what the store lost: --give-back does not go with --offline',
    );
  const env = { sink: silentLog, world: io.world };
  const store = placeOf(storage);
  const driver = await (step === undefined ? openBackendForReading(storage, env) : openBackend(storage, env));
  const log = await openLog({
    driver,
    // The fact that a step appends has a MAC, as every batch.
    keyring: await keyringOf(configuration, driver, { ...env, step }),
    world: io.world,
    writer: 'tctl',
    sink: silentLog,
    known: readKnownPlaces(dataDir, store),
  });
  try {
    await lookForWitnessed(log, file.teleport.storage.witness, {
      ...silentLog,
      warn: (text, fields) => {
        io.stderr.write(`${text}: ${JSON.stringify(fields)}\n`);
      },
    });
    const who = `this machine, by its own file (${dataDir})`;
    if (step === undefined) {
      io.stdout.write(reportText({ who, offline: true }, (await reportCluster(log)) satisfies Report));
      return 0;
    }
    const cause = { at: io.world.now(), actor: 'admin', requestId: io.world.uuid() };
    const recovered = await recoverCluster(log, step, cause);
    writeKnownPlaces(log, { dataDir, store });
    io.stdout.write(recoveredText(who, recovered satisfies Recovered));
    return 0;
  } finally {
    await log.close();
  }
}
