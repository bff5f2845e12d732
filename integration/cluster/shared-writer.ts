/*
 * A program for `several-auths.test.ts`: decides and appends as the use cases of auth do, on streams that
 * others write as well, until it is killed. Prints `ready`, then `acknowledged <id>` after each append that
 * was. Arguments: directory, name of this writer, streams, and the generation of streams to begin with: a
 * stream that is full is followed by the next, since whoever joins reads the whole of one. CLOCK_SHIFT_MS
 * stands in where the clock cannot be faked.
 */
import { z } from 'zod';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { pause } from '../../src/base/backoff.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { CodedError, isCoded } from '../../src/base/errors.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import type { Decider } from '../../src/log/decider.ts';
import type { StreamName } from '../../src/log/event.ts';
import { execute } from '../../src/log/execute.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';

const [path = '', name = '', streams = '1', firstGeneration = '0'] = process.argv.slice(2);
const shift = Number(process.env['CLOCK_SHIFT_MS'] ?? 0);
const world: World = { ...realWorld, now: () => new Date(Date.now() + shift).toISOString() };

const counted = z.object({
  type: z.literal('trial.counted'),
  data: z.object({ n: z.number(), id: z.string() }),
});
type Counted = z.infer<typeof counted>;
const fullAt = 200;
/** Keeps the log small, however long the trial takes. */
const paceMs = 10;
/** The next number: two that decide by the same state must not both be stored. */
const counter: Decider<number, { id: string }, Counted> = {
  fact: counted,
  initial: 0,
  decide: (n, { id }) => {
    if (n >= fullAt) throw new CodedError('limit_exceeded', 'the stream is full');
    return [{ type: 'trial.counted', data: { n: n + 1, id } }];
  },
  evolve: (_n, fact) => fact.data.n,
};

const log = await openLog({
  driver: await openDirectoryDriver({ path }),
  keyring: sharedTestKeyring,
  world,
  writer: name,
  sink: silentLog,
});
const say = (line: string): Promise<unknown> =>
  new Promise((resolve) => process.stdout.write(`${line}\n`, resolve));
await say('ready');

async function write(lane: number): Promise<never> {
  let generation = Number(firstGeneration);
  for (let seq = 1; ; seq++) {
    const stream: StreamName = `w-${lane}x${generation}`;
    const id = `${name}:${stream}:${seq}`;
    const cause = { at: world.now(), actor: `auth:${name}`, requestId: id };
    try {
      await execute(log.state, counter, stream, { id }, cause);
    } catch (e) {
      if (isCoded(e, 'limit_exceeded')) generation++;
      // The others were always faster: the caller of an operation would be told, and nothing was stored.
      else if (!isCoded(e, 'conflict')) throw e;
      continue;
    }
    await say(`acknowledged ${id}`);
    await pause(paceMs);
  }
}
await Promise.all(Array.from({ length: Number(streams) }, (_, lane) => write(lane)));
