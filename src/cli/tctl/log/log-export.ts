import { resolve } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import { exportLog as exportTo } from '../../../log/archive-write.ts';
import { storeKeysInUse } from '../../../log/keys-in-store.ts';
import { openBackendForReading } from '../../../process/store/open-backend.ts';
import { placeOf } from '../../../process/configuration/storage-schema.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf } from '../connect.ts';
import { figures, partitionLines, sizeText } from './log-figures.ts';

/** `tctl log export`: reads the store beside the daemon, changes nothing in it. */
export async function exportLog(invocation: Invocation, io: CliIo): Promise<number> {
  const { storage } = configurationOf(invocation, io);
  const path = resolve(invocation.arg('file') ?? '');
  const storeKeys = invocation.on('with-store-keys');
  const secrets = invocation.on('with-secrets');
  if (storeKeys && !secrets)
    throw new CodedError('bad_request', '--with-store-keys goes with --with-secrets only');
  const began = performance.now();
  const source = await openBackendForReading(storage, { sink: silentLog, world: io.world });
  try {
    const from = placeOf(storage);
    const isAll = storeKeys && (await storeKeysInUse(source)).length > 0;
    // Printed before anything is written.
    if (isAll)
      io.stderr.write(
        `warning: ${path} holds the keys of the store itself: whoever has this file alone has every secret of the cluster\n`,
      );
    const done = await exportTo(path, { source, from, exportedAt: io.world.now(), secrets, storeKeys });
    const say = (line: string): boolean => io.stdout.write(`${line}\n`);
    for (const line of partitionLines(done.partitions)) say(line);
    say(figures(done.partitions, performance.now() - began));
    say(
      secrets
        ? isAll
          ? `${done.dataKeys} keys, with those that open them: whoever has this file alone has every secret of the cluster`
          : `${done.dataKeys} data keys, wrapped: whoever has this file and the keyring has every secret of the cluster`
        : 'no data keys: what is sealed in it stays so (--with-secrets takes them along)',
    );
    say(`${path}: ${sizeText(done.fileBytes)}, sha256 chain ${done.digest}`);
    return 0;
  } finally {
    await source.close();
  }
}
