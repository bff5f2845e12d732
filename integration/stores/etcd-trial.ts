import { Etcd3 } from 'etcd3';
import type { TrialStore } from '../../backends/conformance/trial.ts';
import { headValue, parseHead } from '../../backends/etcd/head.ts';
import { keysBelow } from '../../backends/etcd/keys.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { ownHash } from '../../src/log/own-hash.ts';

let count = 0;

/** With a client of its own. */
async function beside<T>(urls: readonly string[], act: (client: Etcd3) => Promise<T>): Promise<T> {
  const client = new Etcd3({ hosts: [...urls] });
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

/** An empty store for the conformance suite, at a prefix of its own. */
export function etcdTrial(urls: readonly string[]): TrialStore {
  const prefix = `trial-${count++}`;
  const keys = keysBelow(prefix);
  return {
    connect: () =>
      openEtcdDriver(
        { peers: urls, prefix, insecure: false, dialTimeoutMs: 5_000 },
        { sink: silentLog, world: realWorld },
      ),
    spoil: (partition, slot, change) =>
      beside(urls, async ({ kv }) => {
        const key = Buffer.from(keys.slot(partition, slot));
        const found = await kv.range({ key });
        const changed = change(found.kvs[0]?.value ?? new Uint8Array());
        if (changed) {
          await kv.put({ key, value: Buffer.from(changed) });
          return;
        }
        await kv.deleteRange({ key });
        // The newest slot and its name go together, as in a store that was put back.
        const head = Buffer.from(keys.head(partition));
        const before = await kv.range({ key: Buffer.from(keys.slot(partition, slot - 1)) });
        const [named] = (await kv.range({ key: head })).kvs;
        const [newest] = before.kvs;
        if (!newest || !named || parseHead(named.value)?.slot !== slot) return;
        const value = headValue({ slot: slot - 1, hash: ownHash(newest.value) });
        await kv.put({ key: head, value: Buffer.from(value) });
      }),
    save: async () => {
      const all = { key: Buffer.from(keys.all.from), range_end: Buffer.from(keys.all.end) };
      const { kvs } = await beside(urls, ({ kv }) => kv.range(all));
      return () =>
        beside(urls, async ({ kv }) => {
          await kv.deleteRange(all);
          for (const { key, value } of kvs) await kv.put({ key, value });
        });
    },
    dispose: () => Promise.resolve(),
  };
}
