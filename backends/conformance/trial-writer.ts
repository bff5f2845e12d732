/*
 * A program for the tests: appends to a store as fast as it can until it is killed, and prints
 * `acknowledged <stream> <revision>` after each append that was. `writer-process.ts` starts it.
 * Arguments: the store as JSON (`WriterStore`), name of this writer, streams.
 */
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import type { WriterStore } from './writer-process.ts';

const [storeText = '', name = '', streams = '1'] = process.argv.slice(2);
const store = JSON.parse(storeText) as WriterStore;
const deps = { sink: silentLog, world: realWorld };

/** Loads only what the store needs: these programs are started by the dozen. */
async function openDriver(): Promise<SlotDriver> {
  switch (store.type) {
    case 'dir':
      return (await import('../dir/open.ts')).openDirectoryDriver(store.options);
    case 'etcd':
      return (await import('../etcd/open.ts')).openEtcdDriver(store.options, deps);
    case 'dynamodb':
      return (await import('../dynamodb/open.ts')).openDynamodbDriver(store.options, deps);
  }
}

const log = await openLog({
  driver: await openDriver(),
  keyring: sharedTestKeyring,
  world: realWorld,
  writer: name,
  sink: silentLog,
});
const partition = log[store.partition];

async function write(stream: `w-${string}`): Promise<never> {
  for (let revision = await partition.revision(stream); ;) {
    const n = revision + 1;
    const facts = [{ type: 'trial.happened', data: { n, text: 'x'.repeat(200) } }];
    await partition.append([{ stream, expected: revision, facts }], {
      at: realWorld.now(),
      actor: `user:${name}`,
      requestId: 'r1',
    });
    revision = n;
    // Continues when the line has left this process, so that the test knows everything that was acknowledged
    // before the kill.
    await new Promise((resolve) => process.stdout.write(`acknowledged ${stream} ${n}\n`, resolve));
  }
}

await Promise.all(Array.from({ length: Number(streams) }, (_, i) => write(`w-${name}x${i}`)));
