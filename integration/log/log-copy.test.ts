import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { times } from '../../backends/conformance/trial.ts';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { isCoded } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import { collect } from '../../src/log/testing.ts';
import { readText } from '../harness/cluster.ts';
import { run, until, type Ran } from '../harness/run-program.ts';
import { endDaemons } from '../harness/daemon.ts';
import { type DynamodbEngine, startDynalite } from '../harness/dynamodb-server.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { MovingCluster } from './log-moves.ts';

/** Each test runs some twenty programs. */
const patient = { timeout: 240_000 };

describe('moving the log of a cluster that is in use', patient, () => {
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
    const move = (...flags: string[]): Promise<Ran> =>
      run('bin/tctl', ['log', 'move', `--config=${old}`, '--yes', ...flags]);
    const to = `--to=dir:${elsewhere.shown}`;
    expect((await move(to)).stdout).toContain('this log was moved there before');
    const back = await move(to, '--take-back');
    expect(back.code).toBe(1);
    expect(back.stderr).toMatch(
      /^error: the log goes on there: \S+ was written at \S+ by \S+\. It stays so\n$/,
    );
    mkdirSync(cluster.file('third'), { mode: 0o700 });
    expect((await move(`--to=dir:${cluster.file('third')}`)).stderr).toContain(
      `is fenced for another move: the log has moved to ${elsewhere.shown}`,
    );
    expect((await cluster.tctl('log', 'move', to)).stderr).toBe(
      `error: the log is in ${elsewhere.shown} already\n`,
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

describe('a move that was a slip', patient, () => {
  let cluster: MovingCluster;
  beforeAll(async () => {
    cluster = await MovingCluster.start();
  });
  afterAll(endDaemons);

  const refused = async (...args: string[]): Promise<string> => {
    const ran = await cluster.tctl('log', ...args);
    expect(ran.code).toBe(1);
    return ran.stderr;
  };

  it('is refused before anything is written, naming what is wrong with the target', async () => {
    const to = (name: string): string => `--to=dir:${cluster.file(name)}`;
    const made = (name: string): string => {
      mkdirSync(cluster.file(name), { mode: 0o700 });
      return to(name);
    };
    expect(await refused('move', '--yes', to('mistyped'))).toContain('there is no directory');
    expect(await refused('copy', to('mistyped'))).toContain('there is no directory');
    const full = made('full');
    writeFileSync(join(cluster.file('full'), 'notes'), 'mine');
    expect(await refused('move', '--yes', full)).toContain('is not empty (notes): name an empty directory');
    const open = made('open');
    chmodSync(cluster.file('open'), 0o755);
    expect(await refused('move', '--yes', open)).toContain('chmod');
    expect(await refused('move', '--force', open)).toContain('--force belongs to --take-back');
    expect(await refused('move')).toContain('required flag --to not provided');
    expect(await cluster.tctl('users', 'add', 'goes-on')).toMatchObject({ code: 0 });
    expect(await cluster.daemon.cluster.readyz()).toMatchObject({ code: 200 });
  });

  it('is taken back while nothing was written at the new store, which nobody opens any more', async () => {
    const there = cluster.directory('wrong');
    mkdirSync(there.shown, { mode: 0o700 });
    const to = `--to=dir:${there.shown}`;
    expect(await cluster.tctl('log', 'move', to, '--yes')).toMatchObject({ code: 0, stderr: '' });
    expect((await cluster.tctl('users', 'add', 'late')).stderr).toContain('the log has moved to');
    const back = await cluster.tctl('log', 'move', to, '--take-back');
    expect(back).toMatchObject({ code: 0, stderr: '' });
    expect(back.stdout).toContain('nothing had been written at the new store');
    await until('the cluster to take what is new', async () =>
      (await cluster.tctl('users', 'add', 'on-again')).code === 0 ? true : undefined,
    );
    await cluster.logIn();
    await cluster.session.isUp();
    const here = cluster.keepConfiguration('here.yaml');
    const wrong = cluster.file('wrong-now.yaml');
    writeFileSync(wrong, besides(readText(here), there.storage));
    const started = await run('bin/teleport', ['start', `--config=${wrong}`, '--diag-addr=127.0.0.1:0']);
    expect(started.code).toBe(1);
    expect(started.stderr).toContain('the move of the log to this store was taken back');
  });

  it('is no copy: a copy leaves the cluster alone, and lives only when it is promoted', async () => {
    const there = cluster.directory('kept');
    mkdirSync(there.shown, { mode: 0o700 });
    const to = `--to=dir:${there.shown}`;
    for (const state of ['made', 'brought up to date'])
      expect(await cluster.tctl('log', 'copy', to), state).toMatchObject({ code: 0, stderr: '' });
    expect(await cluster.tctl('users', 'add', 'after-the-copy')).toMatchObject({ code: 0 });
    await cluster.logIn();
    expect(await cluster.daemon.cluster.readyz()).toMatchObject({ code: 200 });
    expect((await cluster.tctl('log', 'verify', there.shown)).stdout).toMatch(/^ok$/m);
    const kept = cluster.file('kept-now.yaml');
    const here = cluster.keepConfiguration('here.yaml');
    writeFileSync(kept, besides(readText(here), there.storage));
    const tctl = (...args: string[]): Promise<Ran> => run('bin/tctl', [`--config=${kept}`, ...args]);
    const started = await run('bin/teleport', ['start', `--config=${kept}`, '--diag-addr=127.0.0.1:0']);
    expect(started.code).toBe(1);
    expect(started.stderr).toContain('this store holds a copy of the log of');
    expect((await tctl('log', 'info', '--offline')).stdout).toContain(there.shown);
    expect((await tctl('log', 'promote')).stderr).toContain('there is no terminal to ask at');
    expect(await tctl('log', 'promote', '--yes')).toMatchObject({ code: 0, stderr: '' });
    expect((await tctl('log', 'promote', '--yes')).stderr).toContain('there is nothing to promote');
    expect((await cluster.tctl('log', 'verify', there.shown)).stdout).toMatch(/^ok$/m);
  });
});

/** The same machine with another store, beside the daemon that runs: a data directory takes only one. */
function besides(yaml: string, storage: string): string {
  const [, own = ''] = /^ {2}data_dir: (.*)$/m.exec(yaml) ?? [];
  const copy = mkdtempSync(`${own}-`);
  for (const name of readdirSync(own))
    // A file that is being written has another name a moment later.
    if (name !== 'backend' && name !== 'daemon.lock' && !name.endsWith('.tmp'))
      cpSync(join(own, name), join(copy, name), {
        recursive: true,
        filter: (from) => !from.endsWith('.tmp'),
      });
  return yaml.replace(/^ {2}data_dir: .*$/m, `  data_dir: ${copy}\n  ${storage}`);
}

describe('a move that is killed', () => {
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
  /** Runs `tctl log move`, and kills it after a while when asked to. */
  const copy = (
    config: string,
    target: string,
    killAfterMs?: number,
  ): Promise<{ code: number | null; said: string }> =>
    new Promise((ended) => {
      const child = spawn(resolve('bin/tctl'), [
        'log',
        'move',
        '--yes',
        `--config=${config}`,
        `--to=dir:${join(directory, target)}`,
      ]);
      let said = '';
      child.stderr.on('data', (data: Buffer) => (said += data.toString()));
      child.stdout.resume();
      const timer =
        killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      child.once('close', (code) => {
        clearTimeout(timer);
        ended({ code, said });
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
        mkdirSync(join(directory, target), { mode: 0o700 });
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
          if ((await copy(config, target, killAfterMs)).code === 0) break;
          kills++;
        }
        const { code, said } = await copy(config, target);
        expect(code, said).toBe(0);
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
