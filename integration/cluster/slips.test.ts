/* What is typed by mistake, or started twice, takes nothing away from a cluster that runs. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { processRef } from '../../src/base/process-ref.ts';
import { startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import { createCluster, readText, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { type Daemon, endDaemons, gone, startDaemon } from '../harness/daemon.ts';
import { freePorts } from '../harness/own-ports.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await endDaemons();
  for (const close of closers.splice(0).reverse()) await close();
});

/** Without a node and a proxy a start takes half the time. */
const authOnly = (text: string): string =>
  text.replace(/ssh_service:[^]*/, 'ssh_service: {enabled: no}\nproxy_service: {enabled: no}\n');

const errorOf = ({ code, stderr }: Ran): string => {
  expect(code, stderr).toBe(1);
  expect(stderr).not.toMatch(/^\s+at /m);
  return /^error: .*$/m.exec(stderr)?.[0] ?? '';
};

/** Sends HUP; answers why the reload failed. */
async function failedReload(dataDir: string, pid: number): Promise<string> {
  const path = join(dataDir, 'proc/restart.json');
  rmSync(path, { force: true });
  process.kill(pid, 'SIGHUP');
  const record = await until('the reload to end', () =>
    existsSync(path) ? (JSON.parse(readText(path)) as { status: string; reason?: string }) : undefined,
  );
  if (record.reason === undefined) throw new Error(`the reload ${record.status}`);
  return record.reason;
}

describe('a machine that names an auth server', () => {
  it('joins it, by flags or by the file of the production guide', { timeout: 120_000 }, async () => {
    const fleet = await startAuthFleet();
    closers.push(() => fleet.fleet.close());
    const pin = await fleet.pin();
    const address = /listen_addr: (\S+)/.exec(readText(fleet.auth.config))?.[1] ?? '';
    const [ssh = 0, other = 0] = await freePorts(2);
    const yamlOf = (name: string, port: number, lines: string): string =>
      `teleport:\n  nodename: ${name}\n  data_dir: ${join(fleet.fleet.dir, `${name}-data`)}\n${lines}` +
      `ssh_service: {listen_addr: 127.0.0.1:${port}}\nproxy_service: {enabled: no}\n`;
    const byFlags = await fleet.fleet.add('by-flags');
    byFlags.configure(yamlOf('by-flags', ssh, ''));
    await byFlags.start({ args: [`--auth-server=${address}`, `--token=${tokens.node}`, `--ca-pin=${pin}`] });
    const byFile = await fleet.fleet.add('by-file');
    byFile.configure(
      yamlOf(
        'by-file',
        other,
        `  auth_token: ${tokens.node}\n  ca_pin: "${pin}"\n  auth_servers: ["${address}"]\n`,
      ),
    );
    await byFile.start();
    for (const machine of [byFlags, byFile]) {
      expect(machine.errors()).toContain('not starting the local auth service');
      expect(existsSync(join(machine.dataDir, 'backend'))).toBe(false);
      expect(existsSync(join(machine.dataDir, 'proc/admin.identity.json'))).toBe(false);
    }
    const { stdout } = await fleet.fleet.tctl(fleet.auth, 'nodes', 'ls');
    expect(stdout).toContain('by-flags');
    expect(stdout).toContain('by-file');
  });

  it(
    'is told what to say where that is in doubt, and an auth server stays one',
    { timeout: 60_000 },
    async () => {
      const cluster = await startCluster({
        yaml: (text) => authOnly(text).replace(/^ {2}log:/m, '  auth_servers: ["192.0.2.1:3025"]\n  log:'),
      });
      closers.push(() => cluster.close());
      await cluster.stop();
      const ran = await run('bin/teleport', [
        ...['start', '--config', cluster.config, '--auth-server=192.0.2.1:3025'],
        '--roles=auth,node',
      ]);
      expect(errorOf(ran)).toContain('but this machine is an auth server of its cluster');
      const data = join(cluster.dir, 'fresh');
      const doubtful = `teleport: {data_dir: ${data}, auth_servers: ["192.0.2.1:3025"]}`;
      const refused = await run('bin/teleport', [
        ...['start', '--config-string', Buffer.from(doubtful).toString('base64')],
      ]);
      expect(errorOf(refused)).toContain('"auth_service: {enabled: no}"');
      expect(existsSync(data)).toBe(false);
    },
  );
});

/**
 * Sessions outlive a daemon that crashes: one that held its lock would keep the next from starting. Source:
 * proc(5), fdinfo.
 */
function isKeptFromChildren(daemon: Daemon): boolean {
  const of = `/proc/${daemon.main().pid}`;
  const fd = readdirSync(`${of}/fd`).find(
    (one) => linkOf(`${of}/fd/${one}`) === join(daemon.cluster.dataDir, 'daemon.lock'),
  );
  if (fd === undefined) throw new Error('it does not hold its lock');
  const flags = /^flags:\s+([0-7]+)$/m.exec(readText(`${of}/fdinfo/${fd}`))?.[1] ?? '0';
  const closedOnExec = 0o2000000;
  return (Number.parseInt(flags, 8) & closedOnExec) !== 0;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // closed since
  }
}

describe('two daemons on one data_dir', () => {
  const secondOf = async ({ cluster }: Daemon): Promise<Ran> => {
    const [port = 0, diag = 0] = await freePorts(2);
    const config = join(cluster.dir, 'second.yaml');
    writeFileSync(
      config,
      readText(cluster.config).replace(/listen_addr: \S+/, `listen_addr: 127.0.0.1:${port}`),
    );
    return run('bin/teleport', ['start', '--config', config, `--diag-addr=127.0.0.1:${diag}`]);
  };

  it('are one: the other is refused, also over reloads, drains and kills', { timeout: 120_000 }, async () => {
    const daemon = await startDaemon({ yaml: authOnly });
    const { cluster } = daemon;
    const inUse = (pid: number): string => `error: ${cluster.dataDir} is in use by process ${pid}:`;
    expect(errorOf(await secondOf(daemon))).toContain(inUse(daemon.main().pid));

    expect(isKeptFromChildren(daemon)).toBe(true);

    const { from, to } = await daemon.reload();
    expect(isKeptFromChildren(daemon)).toBe(true);
    expect(errorOf(await secondOf(daemon))).toContain(inUse(to.pid));
    await gone(from);
    expect(errorOf(await secondOf(daemon))).toContain(inUse(to.pid));
    expect((await cluster.tctl('status')).code).toBe(0);

    process.kill(to.pid, 'SIGKILL');
    await gone(to);
    await cluster.start();
    expect(daemon.main().pid).toBe(cluster.pid());
    expect((await cluster.tctl('users', 'ls')).code).toBe(0);
  });
});

describe('a misspelt data_dir', () => {
  it('keeps a reload from making another machine and cluster', { timeout: 60_000 }, async () => {
    const daemon = await startDaemon({ yaml: authOnly });
    const { cluster } = daemon;
    const misspelt = join(cluster.dir, 'dta');
    cluster.configure(readText(cluster.config).replace(/data_dir: .*/, `data_dir: ${misspelt}`));
    const before = daemon.main();
    expect(await failedReload(cluster.dataDir, before.pid)).toContain(
      `data_dir is ${misspelt} now, but the previous process serves from ${cluster.dataDir}: a reload cannot change it`,
    );
    expect(daemon.main()).toEqual(before);
    expect(existsSync(misspelt)).toBe(false);
    expect((await cluster.readyz())?.code).toBe(200);
  });
});

describe('what a daemon has to write', () => {
  it('is tried before it takes over', { timeout: 60_000 }, async () => {
    const pids = { folder: '' };
    const cluster = await createCluster({
      yaml: (text) => {
        pids.folder = join(/data_dir: (.*)/.exec(text)?.[1] ?? '', '../run');
        return authOnly(text).replace(/^ {2}log:/m, `  pid_file: ${join(pids.folder, 'pid')}\n  log:`);
      },
    });
    closers.push(() => cluster.close());
    mkdirSync(pids.folder);
    await cluster.start();
    const yaml = readText(cluster.config);
    cluster.configure(yaml.replace(pids.folder, `${pids.folder}-gone`));
    expect(await failedReload(cluster.dataDir, cluster.pid())).toBe(
      `cannot write the pid file ${pids.folder}-gone/pid: there is no folder ${pids.folder}-gone: make it, or name another file`,
    );
    cluster.configure(yaml.replace('log: {', `log: {output: ${pids.folder}, `));
    expect(await failedReload(cluster.dataDir, cluster.pid())).toContain(
      `log.output: cannot write ${pids.folder}: `,
    );
    expect(readText(join(pids.folder, 'pid'))).toBe(String(cluster.pid()));
    expect((await cluster.tctl('status')).code).toBe(0);
  });
});

describe('process 1 of a container', () => {
  it('refuses HUP, says so, and serves on', { timeout: 60_000 }, async () => {
    const cluster = await startCluster({
      yaml: authOnly,
      within: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'],
    });
    closers.push(() => cluster.close());
    const inside = await until('the process inside', async () => {
      const { stdout } = await run('pgrep', ['-P', String(cluster.pid())]);
      return stdout.trim() === '' ? undefined : Number(stdout);
    });
    const before = processRef(inside);
    expect(await failedReload(cluster.dataDir, inside)).toMatch(
      /^SIGHUP is refused: this is process 1 of a container, .*: to read changed files, restart the container$/,
    );
    expect(cluster.output()).toMatch(/ERROR \[PROCESS\] SIGHUP is refused: this is process 1/);
    process.kill(inside, 'SIGUSR2');
    await until('USR2 to be refused', () =>
      cluster.output().includes('SIGUSR2 is refused') ? true : undefined,
    );
    expect((await cluster.tctl('status')).stdout).toMatch(/^Last reload +failed at .*SIGUSR2 is refused/m);
    expect(processRef(inside)).toEqual(before);
    expect((await cluster.readyz())?.code).toBe(200);
    process.kill(inside, 'SIGTERM');
  });
});

describe('a second `make run`', () => {
  it('leaves the one that runs as it is, and says which', { timeout: 60_000 }, async () => {
    const cluster = await createCluster({
      yaml: (text) => authOnly(text).replace(/data_dir: .*/, (line) => line.replace(/\/data$/, '/.run/data')),
      args: [],
    });
    closers.push(() => cluster.close());
    const root = cluster.dir;
    mkdirSync(join(root, '.run'), { mode: 0o700 });
    mkdirSync(join(root, '.ci'));
    symlinkSync(resolve('bin'), join(root, 'bin'));
    copyFileSync('.ci/run-cluster', join(root, '.ci/run-cluster'));
    writeFileSync(join(root, '.run/teleport.yaml'), readText(cluster.config));
    const pidFile = join(root, '.run/teleport.pid');
    writeFileSync(
      cluster.config,
      readText(cluster.config).replace(/^ {2}log:/m, `  pid_file: ${pidFile}\n  log:`),
    );
    await cluster.start();
    const ran = await run(join(root, '.ci/run-cluster'), []);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(`The cluster of this folder runs already (process ${cluster.pid()}`);
    expect(readText(pidFile)).toBe(String(cluster.pid()));
    expect((await cluster.readyz())?.code).toBe(200);
  });
});

describe('TELEPORT_DEBUG', () => {
  it.each([
    ['0', /^error: [^\n]*\n$/],
    ['false', /^error: [^\n]*\n$/],
    ['1', /^\s+at /m],
    ['nope', /^error: TELEPORT_DEBUG \(environment\): expected true or false, got 'nope'\n$/],
  ])('is read as what it says: %s', async (value, printed) => {
    const env = { ...process.env, TELEPORT_DEBUG: value };
    const { stderr, code } = await run('bin/teleport', ['start', '--roles=cook'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(printed);
  });
});
