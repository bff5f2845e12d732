/*
 * A program for `store-trial.test.ts`: an auth server's part of the log, on an etcd. Takes one question a
 * line (`{"id":1,"ask":{…}}`) and answers in lines (`{"id":1,"answer":{…}}` or
 * `{"id":1,"code":"…","message":"…"}`), in whatever order they end. Besides it tells what its follower hears.
 * Arguments: name, keyring file, peers.
 */
import { createInterface } from 'node:readline';
import { openEtcdDriver } from '../../../backends/etcd/open.ts';
import { pause } from '../../../src/base/backoff.ts';
import { isCoded, messageOf } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log-sink.ts';
import { realWorld, type World } from '../../../src/base/world.ts';
import type { StreamName } from '../../../src/log/event.ts';
import { openKeyring } from '../../../src/log/keyring-file.ts';
import { openLog } from '../../../src/log/open-log.ts';
import { recoverCluster } from '../../../src/log/recover-cluster.ts';
import { carryOut } from './carry-out.ts';
import { isOfTrial, type Question } from './question.ts';
import { allStored, storedAs } from './stored.ts';

const [name = '', keyringFile = '', peers = ''] = process.argv.slice(2);
let shiftMs = 0;
const world: World = { ...realWorld, now: () => new Date(Date.now() + shiftMs).toISOString() };
/** Short, so that a trial sees appends whose outcome is not known. */
const settleMs = 8_000;

const log = await openLog({
  driver: await openEtcdDriver(
    { peers: peers.split(','), prefix: 'trial', insecure: false, dialTimeoutMs: 60_000 },
    { sink: silentLog, world },
  ),
  keyring: await openKeyring(keyringFile),
  world,
  writer: name,
  sink: silentLog,
  settleMs,
});
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function answer(question: Question): Promise<unknown> {
  const cause = { at: world.now(), actor: `auth:${name}`, requestId: world.uuid() };
  if (!isOfTrial(question)) return carryOut(log, question, cause);
  switch (question.kind) {
    case 'clock':
      shiftMs = question.hours * 3_600_000;
      return {};
    case 'known':
      return { position: log.stats().state.position };
    case 'head':
      return { position: await log.state.head() };
    case 'recover':
      return recoverCluster(log, 'give back', cause);
    case 'everything': {
      const beats: Record<string, number> = {};
      for (const stream of question.beats) beats[stream] = await log.presence.revision(stream as StreamName);
      return { stored: await allStored(log.state), beats };
    }
  }
}

createInterface(process.stdin).on('line', (line) => {
  const { id, ask } = JSON.parse(line) as { id: number; ask: Question };
  answer(ask).then(
    (found) => {
      say({ id, answer: found });
    },
    (e: unknown) => {
      const code = isCoded(e) ? e.code : 'bug';
      say({
        id,
        code,
        message: code === 'bug' && e instanceof Error ? (e.stack ?? e.message) : messageOf(e),
      });
    },
  );
});

/** Follows from the beginning, and again whenever it is told to. */
async function followForEver(): Promise<never> {
  for (let session = 1; ; session++) {
    say({ session });
    await new Promise<void>((ended) => {
      log.state.follow(0).subscribe({
        next: (event) => {
          if (event.fact) say({ session, heard: storedAs(event) });
        },
        error: () => {
          ended();
        },
        complete: ended,
      });
    });
    await pause(100);
  }
}
say({ ready: true });
await followForEver();
