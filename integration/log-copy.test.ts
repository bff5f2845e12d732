import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { times } from '../backends/conformance/trial.ts';
import { openDirectoryDriver } from '../backends/dir/open.ts';
import { isCoded } from '../src/base/errors.ts';
import { silentLog } from '../src/base/log-sink.ts';
import { realWorld } from '../src/base/world.ts';
import type { ClusterLog } from '../src/log/event-log.ts';
import type { Fact, StreamName } from '../src/log/event.ts';
import { openKeyring } from '../src/log/keyring-file.ts';
import { openLog } from '../src/log/open-log.ts';
import { collect } from '../src/log/testing.ts';
import { run, until, type Ran } from './cluster.ts';
import { endDaemons } from './daemon.ts';
import { type DynamodbEngine, startDynalite } from './dynamodb-server.ts';
import { type EtcdCluster, startEtcd } from './etcd-server.ts';
import { MovingCluster } from './log-moves.ts';

describe('moving the log of a cluster that is in use', () => {
  let cluster: MovingCluster;
  let etcd: EtcdCluster;
  let dynamodb: DynamodbEngine;
  beforeAll(async () => {
    [cluster, etcd, dynamodb] = await Promise.all([MovingCluster.start(), startEtcd(), startDynalite()]);
  });
  afterAll(async () => {
    await endDaemons();
    await Promise.all([etcd.close(), dynamodb.close()]);
  });

  it('keeps the open session and all that was acknowledged, and closes the old place for good', async () => {
    const old = cluster.keepConfiguration('old.yaml');
    const elsewhere = cluster.directory('elsewhere');
    await cluster.moveTo(elsewhere);
    const copy = (...flags: string[]): Promise<Ran> =>
      run('bin/tctl', ['log', 'copy', `--config=${old}`, ...flags]);
    const to = `--to=dir:${elsewhere.shown}`;
    expect((await copy(to)).stdout).toContain('this log was copied there before');
    expect(await copy(to, '--abort')).toMatchObject({
      code: 1,
      stderr: 'error: the copy has ended and the log goes on there: it stays so\n',
    });
    expect((await copy(`--to=dir:${cluster.file('third')}`)).stderr).toContain(
      `is fenced for another copy: the log has moved to ${elsewhere.shown}`,
    );
    expect((await cluster.tctl('log', 'copy', to)).stderr).toBe(
      `error: ${elsewhere.shown} holds a log already: name an empty store\n`,
    );
    await cluster.logIn();
  });

  it('moves on to etcd, to DynamoDB and to a directory, and the session ends on the log where it is now', async () => {
    const [peer = ''] = etcd.urls;
    await cluster.moveTo({
      name: 'etcd',
      storage: `storage: {type: etcd, peers: ["${peer}"], prefix: moved}`,
      shown: `etcd ${peer} prefix moved`,
    });
    await cluster.moveTo({
      name: 'dynamodb',
      storage: `storage: {type: dynamodb, table_name: moved, region: eu-central-1, endpoint: "${dynamodb.endpoint}", access_key: local, secret_key: local}`,
      shown: `DynamoDB table moved at ${dynamodb.endpoint}`,
    });
    await cluster.moveTo(cluster.directory('further'));
    await cluster.session.end();
    await until('the end of the session to be told', async () => {
      const told = await cluster.tctl('events', 'ls', '--type=exec', '--format=json');
      return told.stdout.includes('"command":"sh"') ? true : undefined;
    });
  });
});

describe('a copy that is killed', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'log-copy-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  const open = async (name: string): Promise<ClusterLog> =>
    openLog({
      driver: await openDirectoryDriver({ path: join(directory, name) }),
      keyring: await openKeyring(join(directory, 'keyring')),
      world: realWorld,
      writer: 'trial',
      sink: silentLog,
    });
  const add = async (log: ClusterLog, stream: StreamName, n: number): Promise<void> => {
    const cause = { at: realWorld.now(), actor: 'admin', requestId: 'r1' };
    const fact: Fact = { type: 'test.happened', data: { n } };
    await log.state.append([{ stream, expected: 0, facts: [fact] }], cause);
  };
  /** Runs `tctl log copy`, and kills it after a while when asked to. */
  const copy = (config: string, target: string, killAfterMs?: number): Promise<number | null> =>
    new Promise((ended) => {
      const child = spawn(resolve('bin/tctl'), [
        'log',
        'copy',
        `--config=${config}`,
        `--to=dir:${join(directory, target)}`,
      ]);
      const timer =
        killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      child.once('close', (code) => {
        clearTimeout(timer);
        ended(code);
      });
    });

  it(
    'again and again, beside a process that writes, ends when it is left alone: nothing lost, nothing doubled',
    { timeout: 300_000 },
    async () => {
      let kills = 0;
      let slots = 0;
      for (let round = 0; round < times(1); round++) {
        const [source, target] = [`source-${round}`, `target-${round}`];
        const config = join(directory, `${source}.yaml`);
        writeFileSync(
          config,
          `teleport: {data_dir: ${directory}, storage: {path: ${join(directory, source)}}}\n`,
        );
        const log = await open(source);
        for (let n = 0; n < 300; n++) await add(log, `before-${n}`, n);
        let acknowledged = 0;
        const writing = (async () => {
          for (;;)
            try {
              await add(log, `beside-${acknowledged}`, acknowledged);
              acknowledged++;
            } catch (e) {
              if (isCoded(e, 'unavailable')) return;
              throw e;
            }
        })();
        for (const killAfterMs of [300, 500, 700, 900].map((ms) => ms + 40 * round)) {
          if ((await copy(config, target, killAfterMs)) === 0) break;
          kills++;
        }
        expect(await copy(config, target)).toBe(0);
        await writing;
        await log.close();
        const moved = await open(target);
        const events = await collect(moved.state.history(0));
        const of = (category: string): number =>
          events.filter((event) => event.stream.startsWith(category)).length;
        expect(of('before-')).toBe(300);
        expect(of('beside-')).toBe(acknowledged);
        await add(moved, 'after-1', 1);
        await moved.close();
        slots += events.length;
      }
      process.stdout.write(`${kills} copies killed, ${slots} slots moved, 0 lost, 0 doubled\n`);
    },
  );
});
