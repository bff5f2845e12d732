import { afterAll, beforeAll } from 'vitest';
import { describeStore } from '../../backends/conformance/suite.ts';
import { startEtcd, type EtcdCluster } from '../harness/etcd-server.ts';
import { etcdTrial } from './etcd-trial.ts';

let etcd: EtcdCluster;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.close());

describeStore('etcd', () => Promise.resolve(etcdTrial(etcd.urls)));
