import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDynalite } from './dynamodb-server.ts';
import { startEtcd } from './etcd-server.ts';

export const storeKinds = ['directory', 'etcd', 'DynamoDB'] as const;
export type StoreKind = (typeof storeKinds)[number];

/** One real store of each kind. */
export interface EveryStore {
  /** What stands between the braces of `storage: {}` for a new, empty log there. */
  emptyLog(kind: StoreKind): string;
  close(): Promise<void>;
}

/** Starts an etcd and a DynamoDB engine, and makes a directory. */
export async function startEveryStore(): Promise<EveryStore> {
  const [etcd, dynamodb] = await Promise.all([startEtcd(), startDynalite()]);
  const root = mkdtempSync(join(tmpdir(), 'stores-'));
  const places: Readonly<Record<StoreKind, (name: string) => string>> = {
    directory: (name) => `type: dir, path: ${join(root, name)}`,
    etcd: (name) => `type: etcd, peers: [${etcd.urls.join(', ')}], prefix: /${name}/`,
    DynamoDB: (name) =>
      `type: dynamodb, table_name: ${name}, region: eu-central-1, endpoint: "${dynamodb.endpoint}", access_key: local, secret_key: local`,
  };
  return {
    emptyLog: (kind) => places[kind](`cluster-${randomUUID()}`),
    close: async () => {
      await Promise.all([etcd.close(), dynamodb.close()]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
