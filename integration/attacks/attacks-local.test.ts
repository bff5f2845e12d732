import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cluster, createCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

let cluster: Cluster;
let at: (...path: string[]) => string;
beforeAll(async () => {
  cluster = await createCluster({
    yaml: (text) => text.replace(/proxy_service:[^]*/, 'proxy_service: {enabled: no}\n'),
  });
  at = (...path) => join(cluster.dataDir, ...path);
  await cluster.start();
  await cluster.stop();
});
afterAll(() => cluster.close());

/** Starts the daemon with whatever an attacker added, and ends it once it serves. */
async function started(env: NodeJS.ProcessEnv): Promise<string> {
  const before = cluster.output().length;
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const child = cluster.spawn();
  vi.unstubAllEnvs();
  await until('the daemon to serve', async () => {
    if (child.exitCode !== null) throw new Error(cluster.output().slice(before));
    return (await cluster.readyz())?.code === 200 ? true : undefined;
  });
  expect(await cluster.stop()).toMatchObject({ code: 0, signal: null });
  return cluster.output().slice(before);
}

/** Starts the daemon where it must refuse to. */
const refused = async (...args: string[]): Promise<Ran> => {
  const ran = await run(resolve('bin/teleport'), ['start', '--config', cluster.config, ...args], {
    timeoutMs: 10_000,
  });
  expect({ ...ran, code: ran.code }).toMatchObject({ code: 1, signal: null });
  expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at /m);
  return ran;
};

describe('an environment that says what is not so', () => {
  it.each([
    [{ TELEPORT_OS_FILES: '{"a":' }, /TELEPORT_OS_FILES is not understood, so new listeners are opened/],
    [{ TELEPORT_OS_FILES: '[{"name":"auth","addr":"x","fd":-1}]' }, /TELEPORT_OS_FILES is not understood/],
    [{ TELEPORT_OS_FILES: '[{"name":"x","addr":"y","fd":8}]' }, /not a socket left to this process: 8/],
    [{ TELEPORT_READY_FD: '1' }, /TELEPORT_READY_FD is not a descriptor/],
    [{ TELEPORT_READY_FD: '-7' }, /TELEPORT_READY_FD is not a descriptor/],
    [{ TELEPORT_READY_FD: '21' }, /TELEPORT_READY_FD names a descriptor that is not a socket/],
  ] as const)('is warned of, and serves nobody else: %j', async (env, warning) => {
    const said = await started(env);
    expect(said).toMatch(warning);
    expect(said).not.toContain('"type":"ready"');
  });
});

describe('an environment that the runtime would obey', () => {
  const kept = ['NODE_EXTRA_CA_CERTS', 'NODE_NO_WARNINGS', 'NODE_DISABLE_COLORS', 'NODE_PENDING_DEPRECATION'];
  const idle = ['NODE_PENDING_PIPE_INSTANCES', 'NODE_SKIP_PLATFORM_CHECK']; // Windows and the start, to no harm

  it('is decided variable by variable, as this version of Node names them', async () => {
    const [help, left] = [
      await run(process.execPath, ['--help']),
      (await run('sh', ['-c', '. bin/environment.sh; env'], { env: { PATH: process.env['PATH'] ?? '' } }))
        .stdout,
    ];
    const names = [...help.stdout.matchAll(/^(NODE_[A-Z0-9_]+)/gm)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(12);
    const env = Object.fromEntries([...names, 'NODE_OPTIONS', 'OPENSSL_CONF'].map((name) => [name, 'x']));
    const ran = await run('sh', ['-c', 'name=x; . bin/environment.sh; env'], {
      env: { ...env, PATH: process.env['PATH'] ?? '' },
    });
    const through = ran.stdout.split('\n').filter((line) => !left.split('\n').includes(line));
    expect(
      through
        .map((line) => line.replace(/=.*/, ''))
        .filter(Boolean)
        .sort(),
    ).toEqual([...kept, ...idle].sort());
  });
  it.each(['teleport', 'tctl', 'tsh'])(
    'loads and writes nothing with %s, which says what it left out',
    async (name) => {
      const trap = join(cluster.dir, 'trap.cjs');
      writeFileSync(trap, "require('node:fs').writeFileSync(process.env.TRAP, ''); process.exit(42)");
      const env = {
        ...process.env,
        TRAP: join(cluster.dir, 'trapped'),
        NODE_OPTIONS: `--require=${trap} --tls-keylog=${join(cluster.dir, 'keys')}`,
        NODE_V8_COVERAGE: join(cluster.dir, 'coverage'),
        NODE_DEBUG: 'tls,http',
        OPENSSL_CONF: join(cluster.dir, 'none.cnf'),
      };
      const ran = await run(resolve('bin', name), ['version'], { env });
      expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Teleport/) as string });
      expect(ran.stderr).toBe(
        `WARNING: ${name} does not obey NODE_OPTIONS NODE_DEBUG NODE_V8_COVERAGE OPENSSL_CONF of the environment (docs/running.md)\n`,
      );
      expect(['trapped', 'keys', 'coverage'].filter((file) => existsSync(join(cluster.dir, file)))).toEqual(
        [],
      );
    },
  );
});

describe('a umask that shuts nobody out', () => {
  /** Of everything below it, what others may write to. */
  const writable = async (...folders: string[]): Promise<string> =>
    (await run('find', [...folders, '-perm', '/022', '-not', '-type', 'l'])).stdout;

  it('is not that of the daemon, nor of its files; and nothing is written beside the programs', async () => {
    const programs = (): string[] => readdirSync(resolve('dist')).toSorted();
    const built = programs();
    const before = process.umask(0);
    const child = cluster.spawn();
    process.umask(before);
    await until('the daemon to serve', async () =>
      (await cluster.readyz())?.code === 200 ? true : undefined,
    );
    expect(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8')).toMatch(/^Umask:\t0077$/m);
    expect((await cluster.tctl('status')).code).toBe(0);
    await cluster.stop();
    expect(await writable(cluster.dataDir)).toBe('');
    expect(programs()).toEqual(built); // code that a program keeps would be run by root later
  });
});

describe('a data directory that somebody prepared', () => {
  /** What the daemon says when something else lies in the place of a file. */
  const insteadOf = async (name: string, prepare: (path: string) => void): Promise<string> => {
    const path = at(...name.split('/'));
    renameSync(path, `${path}.aside`);
    prepare(path);
    const { stderr } = await refused();
    rmSync(path, { recursive: true, force: true });
    renameSync(`${path}.aside`, path);
    return stderr;
  };

  it('is refused with a link in place of the log, of which nothing is made', async () => {
    const elsewhere = join(cluster.dir, 'elsewhere.db');
    const told = await insteadOf('backend/log.db', (path) => {
      symlinkSync(elsewhere, path);
    });
    expect(told).toMatch(/^error: \S+log\.db is not a file of its own: a link/m);
    expect(() => readFileSync(elsewhere)).toThrow(/ENOENT/);
  });

  it('is refused with a keyring that others can read, or that is none', async () => {
    const text = readFileSync(at('keyring'), 'utf8');
    const readable = await insteadOf('keyring', (path) => {
      writeFileSync(path, text);
      chmodSync(path, 0o640);
    });
    expect(readable).toMatch(
      /^error: \S+keyring can be read or written by others \(mode 0640\): chmod 0600 /m,
    );
    expect(
      await insteadOf('keyring', (path) => {
        mkdirSync(path);
      }),
    ).toMatch(/is not a keyring file/);
    expect(await insteadOf('keyring', () => undefined)).toMatch(
      /^error: there is no keyring \S+, but the store/m,
    );
  });

  it('serves with strange files in the spool, and leaves them as they are', async () => {
    const spool = at('log', 'upload', 'node');
    await run('mkfifo', [join(spool, '000000000001-deadbeef.ndjson')]);
    mkdirSync(join(spool, '000000000002-deadbeef.ndjson'));
    symlinkSync('/etc/passwd', join(spool, '000000000003-deadbeef.ndjson'));
    for (const name of ['999999999999-deadbeef.ndjson', '-rf', '\u001b[2J', 'a\nb'])
      writeFileSync(join(spool, name), 'x');
    const names = readdirSync(spool);
    expect(await started({})).toMatch(/the audit spool holds something that is not a file: it is left alone/);
    expect(readdirSync(spool)).toEqual(expect.arrayContaining(names));
  });
});

describe('a pid file that leads to another file', () => {
  it('is replaced, and the other file is as it was', async () => {
    const precious = join(cluster.dir, 'precious');
    const pidFile = join(cluster.dir, 'teleport.pid');
    writeFileSync(precious, 'precious');
    symlinkSync(precious, pidFile);
    const other = await createCluster({
      dataDir: cluster.dataDir,
      args: [`--pid-file=${pidFile}`],
      yaml: (text) => text.replace(/proxy_service:[^]*/, 'proxy_service: {enabled: no}\n'),
    });
    await other.start();
    await until('the pid file', () => (lstatSync(pidFile).isFile() ? true : undefined));
    expect(readFileSync(pidFile, 'utf8')).toBe(String(other.pid()));
    await other.close();
    expect(readFileSync(precious, 'utf8')).toBe('precious');
  });
});
