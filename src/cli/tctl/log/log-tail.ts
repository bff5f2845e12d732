import { concatMap, fromEvent, lastValueFrom, merge, type Observable, takeUntil } from 'rxjs';
import { CodedError } from '../../../base/errors.ts';
import { tellsOfSession } from '../../../domain/audit.ts';
import { type Followed, partitions, type Recorded } from '../../../log/event.ts';
import { tailJsonLine, tailTextLine } from '../../../log/tail-lines.ts';
import { openLogForReading } from '../../../process/store/read-log.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { written } from '../../written.ts';
import { configurationOf } from '../connect.ts';

/** `tctl log tail`: reads the store beside the daemon. With `--follow` until interrupted. */
export async function tailLog(invocation: Invocation, io: CliIo): Promise<number> {
  const partition = partitions.find((name) => name === invocation.text('partition'));
  if (partition === undefined) throw new CodedError('bad_request', '--partition: unknown');
  const stream = invocation.text('stream');
  const line = invocation.text('format') === 'json' ? tailJsonLine : tailTextLine;
  const { storage, file } = configurationOf(invocation, io);
  const log = await openLogForReading(storage, io.world, file);
  try {
    const print = async (event: Followed): Promise<void> => {
      if (event.fact === undefined || (stream !== undefined && !isOf(event, stream))) return;
      await written(io.stdout, `${line(event)}\n`);
    };
    // Everything that is left: the beginning of a partition may have been trimmed.
    let last = await log[partition].positionBefore('1970-01-01T00:00:00.000Z');
    for await (const event of log[partition].history(last)) {
      await print(event);
      last = event.position;
    }
    if (!invocation.on('follow')) return 0;
    await follow(log[partition].follow(last), print);
    return 0;
  } finally {
    await log.close();
  }
}

/** `session-<id>` means everything in the audit about the session, in whichever streams. */
function isOf({ stream, fact }: Recorded, wanted: string): boolean {
  const sid = wanted.startsWith('session-') ? wanted.slice('session-'.length) : undefined;
  return stream === wanted || (sid !== undefined && tellsOfSession(fact, sid));
}

/** Prints in order, until the user interrupts. */
async function follow(
  events: Observable<Followed>,
  print: (event: Followed) => Promise<void>,
): Promise<void> {
  const interrupted = merge(fromEvent(process, 'SIGINT'), fromEvent(process, 'SIGTERM'));
  await lastValueFrom(events.pipe(concatMap(print), takeUntil(interrupted)), { defaultValue: undefined });
}
