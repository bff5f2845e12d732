import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive, type ProcessRef } from '../../src/base/process-ref.ts';
import { connectSsh } from '../../src/ssh/cert-client.ts';
import { proxyPreamble } from '../../src/ssh/proxy-preamble.ts';
import { readText } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { endDaemons, gone, startDaemon } from '../harness/daemon.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser } from '../harness/people.ts';
import { now, userIdentity } from '../ssh/ssh-workbench.ts';
import { command, failuresOf, startLoad, tallyLines } from './restart-load.ts';

const user = userInfo().username;
/** `make soak` asks for 100. */
const reloads = Number(process.env['RELOADS'] ?? 4);

afterEach(endDaemons);

describe('a reload', () => {
  it(`${reloads} times in a row refuses, resets and fails nobody`, { timeout: 600_000 }, async () => {
    const daemon = await startDaemon();
    const { cluster } = daemon;
    await createFirstUser(cluster, user, { logins: [user] });
    const env = cluster.env(user);
    const load = startLoad(cluster, {
      'tsh ssh': command(resolve('bin/tsh'), ['ssh', `${user}@node1`, 'echo', 'hello'], env, 'hello'),
      'tctl status': command(resolve('bin/tctl'), ['--config', cluster.config, 'status'], env, 'example'),
    });
    const took: number[] = [];
    const old: ProcessRef[] = [];
    for (let n = 0; n < reloads; n++) {
      const began = performance.now();
      const { from } = await daemon.reload();
      took.push(performance.now() - began);
      old.push(from);
    }
    await load.stop();
    console.log(
      `${reloads} reloads under load, slowest ${Math.round(Math.max(...took))} ms\n${tallyLines(load)}`,
    );
    expect(failuresOf(load)).toEqual([]);
    for (const { done } of Object.values(load.tallies)) expect(done).toBeGreaterThan(0);
    for (const one of old) await gone(one);
    expect(daemon.generations()).toEqual([daemon.main()]);
  });

  it('lets nobody who comes through the old process to the new name his own address', async () => {
    const daemon = await startDaemon();
    const { cluster } = daemon;
    await createFirstUser(cluster, user, { logins: [user] });
    const [local = 0] = await freePorts(1);
    const forward = spawn(
      resolve('bin/tsh'),
      ['ssh', '-N', '-L', `${local}:127.0.0.1:${cluster.ports.ssh}`, `${user}@node1`],
      { env: cluster.env(user), stdio: 'ignore' },
    );
    /** A connection to the node with its banner unread. */
    const through = (): Promise<Socket> =>
      until('the forward', async () => {
        const socket = connect(local, '127.0.0.1').on('error', () => undefined);
        // Not there yet: it fails, or closes.
        const [first] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) }).catch(
          () => [],
        )) as [unknown?];
        if (!Buffer.isBuffer(first)) return undefined;
        socket.pause();
        socket.unshift(first);
        return socket;
      });
    (await through()).destroy();
    await daemon.reload();
    const socket = await through();
    socket.write(proxyPreamble({ client: { host: '203.0.113.7', port: 4444 }, proof: undefined }));
    await expect(
      connectSsh({
        ...{ target: { stream: socket }, username: 'nobody', identities: [userIdentity('ed25519')], now },
        ...{ hostAuthorities: () => [], hostPrincipals: [], acceptUnknownHost: () => true },
      }),
    ).rejects.toMatchObject({ code: 'access_denied' });
    const told = await until('the refusal in the audit', async () => {
      const { stdout } = await cluster.tctl('events', 'ls', '--type=auth', '--format=json');
      return /^.*"addr.claimed".*$/m.exec(stdout)?.[0];
    });
    expect(JSON.parse(told)).toMatchObject({
      'addr.remote': expect.stringMatching(/^127\.0\.0\.1:/) as string,
      'addr.claimed': '203.0.113.7:4444',
    });
    forward.kill();
  });

  it('that fails leaves the old process serving, and says why', { timeout: 120_000 }, async () => {
    const daemon = await startDaemon({
      yaml: (text) => text.replace('data_dir:', 'restart_timeout: 60s\n  data_dir:'),
    });
    const { cluster } = daemon;
    const good = readText(cluster.config);
    const [taken = 0, freed = 0] = await freePorts(2);
    const squatter = createServer().listen(taken, '127.0.0.1');
    const failing = async (yaml: string, why: RegExp): Promise<void> => {
      const before = daemon.main();
      writeFileSync(cluster.config, yaml);
      const record = join(cluster.dataDir, 'proc/restart.json');
      const last = existsSync(record) ? readText(record) : '';
      process.kill(before.pid, 'SIGHUP');
      await until('the failure to be written down', () =>
        existsSync(record) && readText(record) !== last ? true : undefined,
      );
      const said = JSON.parse(readText(record)) as { status: string; reason: string };
      expect(said.status).toBe('failed');
      expect(said.reason).toMatch(why);
      expect(daemon.main()).toEqual(before);
      expect((await cluster.readyz())?.code).toBe(200);
      expect(cluster.output()).toMatch(why);
      writeFileSync(cluster.config, good);
      const status = await cluster.tctl('status');
      expect(status.stdout).toMatch(/Last reload\s+failed at /);
      expect(status.stdout).toMatch(why);
      await until('no process to be left of the attempt', () =>
        daemon.generations().length === 1 ? true : undefined,
      );
    };
    await failing(`${good}\nbroken: [`, /teleport\.yaml:\d+:\d+/);
    await failing(
      good.replace(
        /listen_addr: 127\.0\.0\.1:\d+\n {2}cluster_name/,
        `listen_addr: 127.0.0.1:${taken}\n  cluster_name`,
      ),
      /port is in use/,
    );
    squatter.close();
    await failing(
      good.replace(/data_dir: .*/, 'data_dir: /etc/passwd/x'),
      /cannot make the directory \/etc\/passwd\/x/,
    );
    writeFileSync(cluster.config, good.replaceAll(`:${cluster.ports.ssh}`, `:${freed}`));
    await daemon.reload();
    await until('the new address to answer', () => answers(freed));
    await until('the address that was removed to be closed', async () =>
      (await answers(cluster.ports.ssh)) ? undefined : true,
    );
  });

  it('starts what the link points to by then', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'releases-'));
    chmodSync(folder, 0o755);
    /** A tree of its own, with the launchers copied; what they start is ours. */
    const release = (name: string): string => {
      const root = join(folder, name);
      cpSync('bin', join(root, 'bin'), { recursive: true });
      for (const part of ['dist', '.tools', 'node_modules']) symlinkSync(resolve(part), join(root, part));
      return join(root, 'bin/teleport');
    };
    const link = join(folder, 'teleport');
    symlinkSync(release('first'), link);
    const daemon = await startDaemon({ program: link });
    const releaseOf = ({ pid }: ProcessRef): string | undefined =>
      /(\w+)\/dist\/teleport\.js/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1];
    expect(releaseOf(daemon.main())).toBe('first');
    symlinkSync(release('second'), `${link}.new`);
    renameSync(`${link}.new`, link);
    const { from, to } = await daemon.reload();
    expect(releaseOf(to)).toBe('second');
    await gone(from);
    rmSync(folder, { recursive: true });
  });
});

/** True when something takes connections there. */
const answers = (port: number): Promise<true | undefined> =>
  new Promise((settle) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      settle(true);
    });
    socket.once('error', () => {
      settle(undefined);
    });
  });

describe('USR2', () => {
  it(
    'starts a process beside the old one, which takes its place back when it dies',
    { timeout: 60_000 },
    async () => {
      const daemon = await startDaemon();
      const old = daemon.main();
      process.kill(old.pid, 'SIGUSR2');
      const beside = await until('the new process to be the main one', () =>
        daemon.main().pid === old.pid ? undefined : daemon.main(),
      );
      expect(isAlive(old)).toBe(true);
      expect((await daemon.cluster.readyz())?.code).toBe(200);
      process.kill(beside.pid, 'SIGKILL');
      await until('the old one to be the main one again', () =>
        Number(readText(daemon.pidFile)) === old.pid ? true : undefined,
      );
      expect((await daemon.cluster.tctl('status')).code).toBe(0);
    },
  );
});

describe('TERM', () => {
  it(
    'to the main process ends older generations too, with whom they serve',
    { timeout: 60_000 },
    async () => {
      const daemon = await startDaemon();
      await createFirstUser(daemon.cluster, user, { logins: [user] });
      const env = daemon.cluster.env(user);
      const session = spawn(
        resolve('bin/tsh'),
        ['ssh', '-t', `${user}@node1`, 'echo here; exec sleep 600.5'],
        { env },
      );
      await new Promise((here) => session.stdout.once('data', here));
      const { from, to } = await daemon.reload();
      process.kill(to.pid, 'SIGTERM');
      await gone(to, 10_000);
      await gone(from, 10_000);
      const left = await run('pgrep', ['-f', 'sleep 600[.]5']);
      expect(left.stdout).toBe('');
      expect(existsSync(daemon.pidFile)).toBe(false);
    },
  );
});

describe('HUP', () => {
  it('to a process that drains is for its successor', { timeout: 60_000 }, async () => {
    const daemon = await startDaemon();
    await createFirstUser(daemon.cluster, user, { logins: [user] });
    const session = spawn(resolve('bin/tsh'), ['ssh', '-t', `${user}@node1`, 'echo here; cat'], {
      env: daemon.cluster.env(user),
    });
    await new Promise((here) => session.stdout.once('data', here));
    const { from, to } = await daemon.reload();
    process.kill(from.pid, 'SIGHUP');
    await until('a third process to be the main one', () =>
      daemon.main().pid === to.pid ? undefined : true,
    );
    expect(isAlive(from)).toBe(true);
    session.stdin.end('\x04');
    await gone(from);
  });
});
