import { startDynalite } from '../harness/dynamodb-server.ts';
import { startEtcd } from '../harness/etcd-server.ts';
import type { Storage } from '../simulator/shared-store.ts';

/** An engine of its own for a store, and the `storage:` by which it is reached. */
export async function engineFor(
  store: string,
): Promise<{ readonly storage?: Storage; readonly close: () => Promise<void> }> {
  if (store === 'etcd') {
    const etcd = await startEtcd(3);
    return { storage: { type: 'etcd', peers: etcd.urls, prefix: '/bench' }, close: () => etcd.close() };
  }
  if (store === 'dynamodb') {
    const engine = await startDynalite();
    const { name, endpoint } = engine;
    console.log(`engine: ${name}`);
    const storage = { type: 'dynamodb', region: 'eu-west-1', endpoint, table_name: 'bench' };
    return {
      storage: { ...storage, access_key: 'local', secret_key: 'local' },
      close: () => engine.close(),
    };
  }
  return { close: () => Promise.resolve() };
}
