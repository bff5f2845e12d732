import { afterAll, beforeAll } from 'vitest';
import { describeStore } from '../backends/conformance/suite.ts';
import { keysBelow } from '../backends/etcd/keys.ts';
import { openEtcdDriver } from '../backends/etcd/open.ts';
import type { EtcdOptions } from '../backends/etcd/options.ts';
import { silentLog } from '../src/base/log-sink.ts';
import { realWorld } from '../src/base/world.ts';
import { startEtcd, type EtcdCluster } from './etcd-server.ts';
import { Etcd3 } from 'etcd3';

let etcd: EtcdCluster;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.close());

let count = 0;
const options = (prefix: string): EtcdOptions => ({
  peers: etcd.urls,
  prefix,
  insecure: false,
  dialTimeoutMs: 5_000,
});

describeStore('etcd', () => {
  const prefix = `trial-${count++}`;
  const keys = keysBelow(prefix);
  return Promise.resolve({
    connect: () => openEtcdDriver(options(prefix), { sink: silentLog, world: realWorld }),
    spoil: async (partition, slot, change) => {
      const client = new Etcd3({ hosts: [...etcd.urls] });
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
  });
});
