import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { endDaemons, startDaemon } from '../harness/daemon.ts';
import { type DynamodbEngine, startDynalite } from '../harness/dynamodb-server.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { createFirstUser } from '../harness/people.ts';
import { command, failuresOf, startLoad, tallyLines } from '../restart/restart-load.ts';

const user = userInfo().username;
/** `make soak` asks for more. */
const reloads = Number(process.env['RELOADS'] ?? 3);

let etcd: EtcdCluster;
let dynamodb: DynamodbEngine;
beforeAll(async () => {
  [etcd, dynamodb] = await Promise.all([startEtcd(), startDynalite()]);
});
afterEach(endDaemons);
afterAll(async () => {
  await etcd.close();
  await dynamodb.close();
});

const stores = {
  etcd: () => `{type: etcd, peers: [${etcd.urls.join(', ')}], prefix: /cluster/}`,
  DynamoDB: () =>
    `{type: dynamodb, table_name: cluster, region: eu-central-1, endpoint: "${dynamodb.endpoint}", access_key: local, secret_key: local}`,
};

describe.each(Object.entries(stores))('a cluster on %s', (name, section) => {
  it(
    'serves, is reloaded under load without a failure, and is verified',
    { timeout: 1_200_000 },
    async () => {
      const daemon = await startDaemon({
        yaml: (text) => text.replace('auth_service:', `  storage: ${section()}\nauth_service:`),
      });
      const { cluster } = daemon;
      await createFirstUser(cluster, user, { logins: [user] });
      const env = cluster.env(user);
      const load = startLoad(cluster, {
        'tsh ssh': command(resolve('bin/tsh'), ['ssh', `${user}@node1`, 'echo', 'hello'], env, 'hello'),
        'tctl status': command(resolve('bin/tctl'), ['--config', cluster.config, 'status'], env, 'example'),
      });
      for (let n = 0; n < reloads; n++) await daemon.reload();
      await load.stop();
      console.log(`${name}, ${reloads} reloads\n${tallyLines(load)}`);
      expect(failuresOf(load)).toEqual([]);
      await until('the old processes to leave', () => (daemon.generations().length === 1 ? true : undefined));
      const status = await cluster.tctl('status');
      expect(status.stdout).toMatch(new RegExp(`Store\\s+${name.toLowerCase()} `));
      const verified = await cluster.tctl('log', 'verify');
      expect(`${verified.stdout}${verified.stderr}`).toMatch(/\nok\n/);
      const events = await cluster.tctl('events', 'ls', '--type=user.login');
      expect(events.stdout).toContain(user);
    },
  );
});
