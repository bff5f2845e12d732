import { chmodSync, mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/base/version.ts';
import { createCluster, startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { replay } from '../harness/transcript.ts';
import { isRoot } from '../harness/throwaway-user.ts';
import { withTctlOf } from '../harness/wrapped-tctl.ts';

const teleport = resolve('bin/teleport');

describe('what an operator types', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.close());

  it('answers as the transcript says', async () => {
    const env = withTctlOf(cluster, cluster.env('operator'));
    await replay('integration/harness/transcripts/operator.txt', env);
  });

  it('prints its start lines', () => {
    for (const line of [
      `[AUTH]    Auth service ${version}:`,
      '[PROXY]   Web proxy service',
      '[PROXY]   SSH proxy service',
      '[NODE]    Service',
    ])
      expect(cluster.output()).toContain(line);
  });

  it('keeps the data directory to itself', async () => {
    const found = await run('find', [cluster.dataDir, '-perm', '/077']);
    expect(found.stdout).toBe('');
  });

  it('gives no stack trace and no secret to the log', () => {
    expect(cluster.output()).not.toMatch(/^\s+at .*\.ts:\d+/m);
    expect(cluster.output()).not.toMatch(/web\/invite\/[0-9a-f]{32}/);
    expect(cluster.output()).not.toContain('PRIVATE KEY');
  });

  it('says so while it serves', async () => {
    const health = await fetch(`http://127.0.0.1:${cluster.ports.diag}/healthz`);
    expect(await health.json()).toEqual({ status: 'ok' });
    const metrics = await (await fetch(`http://127.0.0.1:${cluster.ports.diag}/metrics`)).text();
    expect(metrics).toContain('process_state 0');
  });

  it('writes what it does to its log on USR1, and goes on', async () => {
    process.kill(cluster.pid(), 'SIGUSR1');
    await until('the last line', () =>
      /SIGUSR1: service service="node" .*connections=0/.test(cluster.output()) ? true : undefined,
    );
    expect(cluster.output()).toMatch(/SIGUSR1: service service="auth" .*"position":\d+/);
    expect(cluster.output()).toMatch(/SIGUSR1: listener name="proxy:web"/);
    expect((await cluster.readyz())?.code).toBe(200);
  });
});

describe('stopping and starting again', () => {
  it('stops at once on TERM and leaves nothing behind', async () => {
    const cluster = await startCluster({ args: [] });
    const pid = cluster.pid();
    expect(await cluster.stop('SIGTERM')).toMatchObject({ code: 0, signal: null });
    expect((await run('pgrep', ['-P', String(pid)])).stdout).toBe('');
    await cluster.start();
    expect((await cluster.tctl('status')).stdout).toContain('Cluster  example');
    expect(await cluster.stop('SIGINT')).toMatchObject({ code: 0, signal: null });
    await cluster.close();
  });

  it('keeps every acknowledged user over kill -9', async () => {
    const cluster = await startCluster();
    try {
      for (const name of ['a1', 'a2', 'a3']) {
        expect((await cluster.tctl('users', 'add', name)).code).toBe(0);
        await cluster.stop('SIGKILL');
        await cluster.start();
      }
      const listed = (await cluster.tctl('users', 'ls')).stdout;
      expect(listed).toMatch(/a1 [\s\S]*a2 [\s\S]*a3 /);
      expect((await cluster.tctl('log', 'verify')).stdout).toContain('ok');
    } finally {
      await cluster.close();
    }
  });
});

describe('starting with something wrong', () => {
  /** Starts the daemon and expects it to refuse: one error line, exit 1, nothing of a stack. */
  async function refusal(
    change: (cluster: Cluster) => void,
    yaml?: (text: string) => string,
  ): Promise<string> {
    const cluster = await createCluster(yaml === undefined ? {} : { yaml });
    try {
      change(cluster);
      const child = cluster.spawn();
      await new Promise((ended) => child.once('close', ended));
      expect(child.exitCode).toBe(1);
      expect(cluster.output()).not.toMatch(/^\s+at /m);
      return cluster.output().replaceAll(cluster.dir, '<dir>');
    } finally {
      await cluster.close();
    }
  }
  const nothing = (): void => undefined;

  it('names file, line and column of broken YAML', async () => {
    expect(await refusal(nothing, (text) => `${text}broken: [\n`)).toMatch(
      /error: <dir>\/teleport\.yaml:\d+:\d+: /,
    );
  });
  it('names an unknown key', async () => {
    expect(await refusal(nothing, (text) => `${text}  colour: blue\n`)).toMatch(
      /teleport\.yaml:\d+:3: unrecognized configuration key: 'colour' in proxy_service/,
    );
  });
  it('names the port that is in use and its setting', async () => {
    const server = createServer();
    const port = await new Promise<number>((ready) =>
      server.listen(0, '127.0.0.1', () => {
        ready((server.address() as { port: number }).port);
      }),
    );
    const said = await refusal(nothing, (text) =>
      text.replace(/web_listen_addr: .*/, `web_listen_addr: 127.0.0.1:${port}`),
    );
    server.close();
    expect(said).toContain(
      `error: cannot listen on 127.0.0.1:${port} for proxy:web: the port is in use by another process (set proxy_service.web_listen_addr)`,
    );
  });
  it('refuses a data directory that others can read, and names the command that mends it', async () => {
    const said = await refusal((cluster) => {
      mkdirSync(cluster.dataDir);
      chmodSync(cluster.dataDir, 0o755);
    });
    expect(said).toContain(
      'error: <dir>/data can be read or written by others (mode 0755): chmod 0700 <dir>/data',
    );
  });
  it.runIf(isRoot)('refuses a data directory of another user', async () => {
    const said = await refusal((cluster) => {
      mkdirSync(cluster.dataDir, { mode: 0o700 });
      const { chownSync } = process.getBuiltinModule('node:fs');
      chownSync(cluster.dataDir, 65_534, 65_534);
    });
    expect(said).toContain('belongs to uid 65534, but this process runs as uid 0');
  });
  it('refuses a web certificate that is not there', async () => {
    const said = await refusal(
      nothing,
      (text) => `${text}  https_key_file: /nope\n  https_cert_file: /nope\n`,
    );
    expect(said).toContain('/nope');
  });
  it('refuses roles it does not know, and a file that is not there', async () => {
    expect((await run(teleport, ['start', '--roles=cook'])).stderr).toBe("error: unknown role: 'cook'\n");
    expect((await run(teleport, ['start', '--config=/nope.yaml'])).stderr).toBe(
      "error: path '/nope.yaml' does not exist\n",
    );
  });
});

describe('the launchers', () => {
  it.each(['teleport', 'tctl', 'tsh'])(
    '%s runs through symbolic links, from any folder, with a bare PATH',
    async (name) => {
      const dir = mkdtempSync(join(tmpdir(), 'launch-'));
      try {
        const { symlinkSync } = process.getBuiltinModule('node:fs');
        symlinkSync(resolve('bin', name), join(dir, 'one'));
        symlinkSync('one', join(dir, 'two'));
        const ran = await run('./two', ['version'], { cwd: dir, env: { PATH: '/usr/bin:/bin' } });
        expect(ran.stderr).toBe('');
        expect(ran.stdout).toMatch(/^Teleport v4\.5\.0 git:\S* node24/);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  );
});
