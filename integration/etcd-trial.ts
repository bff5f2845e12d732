import { Etcd3 } from 'etcd3';
import type { TrialStore } from '../backends/conformance/trial.ts';
import { keysBelow } from '../backends/etcd/keys.ts';
import { openEtcdDriver } from '../backends/etcd/open.ts';
import { silentLog } from '../src/base/log-sink.ts';
import { realWorld } from '../src/base/world.ts';

let count = 0;

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
    spoil: async (partition, slot, change) => {
      const client = new Etcd3({ hosts: [...urls] });
      try {
        const key = Buffer.from(keys.slot(partition, slot));
        const found = await client.kv.range({ key });
        const changed = change(found.kvs[0]?.value ?? new Uint8Array());
        if (changed) await client.kv.put({ key, value: Buffer.from(changed) });
        else await client.kv.deleteRange({ key });
      } finally {
        client.close();
      }
    },
    dispose: () => Promise.resolve(),
  };
}
