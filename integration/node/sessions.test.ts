import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until, type Ran } from '../harness/run-program.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Says something to a port; answers the first it hears, or undefined when nobody listens yet. */
const say = (port: number, text: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.once('error', () => {
      resolve(undefined);
    });
    socket.once('data', (data: Buffer) => {
      socket.destroy();
      resolve(data.toString());
    });
  });

describe('sessions through the proxy', () => {
  let cluster: Cluster;
  let config: string;
  const sh = (command: string): Promise<Ran> =>
    run('/bin/sh', ['-c', command], { env: cluster.env('joe'), cwd: cluster.dir });

  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    config = await sshConfigFor(cluster, 'joe');
  });
  afterAll(() => cluster.close());

  describe('with stock OpenSSH', () => {
    const host = `${login}@node1.example`;

    it('runs a command with both streams and the exit status', async () => {
      const ran = await sh(`ssh -F ${config} ${host} 'echo out; echo err >&2; exit 3'`);
      expect(ran).toMatchObject({ code: 3, stdout: 'out\n', stderr: 'err\n' });
    });
    it('is byte-clean both ways', async () => {
      const data = randomBytes(3 * 1024 * 1024);
      writeFileSync(join(cluster.dir, 'sent'), data);
      expect((await sh(`ssh -F ${config} ${host} cat < sent > back`)).code).toBe(0);
      expect(digest(readFileSync(join(cluster.dir, 'back')))).toBe(digest(data));
    });
    it('reports the signal that ended a command', async () => {
      const ran = await sh(`ssh -F ${config} ${host} 'kill -TERM $$'`);
      expect(ran.code).toBe(255);
    });
    it('jumps with -J through the proxy', async () => {
      const ran = await sh(
        `ssh -F ${config} -J ${login}@localhost:${cluster.ports.proxySsh} -p ${cluster.ports.ssh} ${login}@node1.example echo jumped`,
      );
      expect(ran).toMatchObject({ stdout: 'jumped\n', code: 0 });
    });
    it('keeps many sessions on one connection', async () => {
      const socket = join(cluster.dir, 'master');
      expect((await sh(`ssh -F ${config} -M -S ${socket} -fN ${host} > /dev/null 2>&1`)).code).toBe(0);
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, i) => sh(`ssh -F ${config} -S ${socket} ${host} echo ${i}`)),
      );
      expect(all.map((r) => r.stdout)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\n`));
      await sh(`ssh -F ${config} -S ${socket} -O exit ${host}`);
    });
    it.each([
      ['scp', 'scp'],
      ['scp with the old protocol', 'scp -O'],
    ])('%s copies files and folders both ways', async (_name, scp) => {
      const dir = join(cluster.dir, `copy-${scp.length}`);
      mkdirSync(join(dir, 'tree', 'deep'), { recursive: true });
      const data = randomBytes(100_000);
      writeFileSync(join(dir, 'tree', 'deep', 'a b'), data, { mode: 0o640 });
      expect(await sh(`${scp} -q -r -p -F ${config} ${dir}/tree ${host}:${dir}/there`)).toMatchObject({
        code: 0,
      });
      expect(await sh(`${scp} -q -r -p -F ${config} ${host}:${dir}/there ${dir}/back`)).toMatchObject({
        code: 0,
      });
      expect(digest(readFileSync(join(dir, 'back', 'deep', 'a b')))).toBe(digest(data));
      expect(statSync(join(dir, 'back', 'deep', 'a b')).mode & 0o777).toBe(0o640);
    });
    it('serves sftp and rsync', async () => {
      writeFileSync(join(cluster.dir, 'f'), 'sftp');
      expect((await sh(`echo 'put f g' | sftp -q -F ${config} -b - ${host}:${cluster.dir}/`)).code).toBe(0);
      expect(readFileSync(join(cluster.dir, 'g'), 'utf8')).toBe('sftp');
      expect(await sh(`rsync -e 'ssh -F ${config}' f ${host}:${cluster.dir}/h`)).toMatchObject({ code: 0 });
      expect(readFileSync(join(cluster.dir, 'h'), 'utf8')).toBe('sftp');
    });
    it('forwards a port with -L and standard input with -W', async () => {
      const echo = createServer((socket) => socket.pipe(socket));
      const port = await new Promise<number>((ready) =>
        echo.listen(0, '127.0.0.1', () => {
          ready((echo.address() as { port: number }).port);
        }),
      );
      const ran = await sh(`echo through | timeout 10 ssh -F ${config} -W 127.0.0.1:${port} ${host}`);
      expect(ran.stdout).toBe('through\n');
      const [local = 0] = await freePorts(1);
      const forward = spawn('ssh', ['-F', config, '-N', '-L', `${local}:127.0.0.1:${port}`, host], {
        env: cluster.env('joe'),
      });
      const answer = await until('the forward', () => say(local, 'hello\n'));
      expect(answer).toBe('hello\n');
      forward.kill();
      echo.close();
    });
    it('gives a terminal that follows its size', async () => {
      const ran = await run('/usr/bin/expect', ['integration/node/terminal.exp', config, host], {
        env: cluster.env('joe'),
        timeoutMs: 60_000,
      });
      expect(ran.stdout).toContain('SIZE-OK');
      expect(ran.code).toBe(0);
    });
    it('shows no descriptor of others in a session', async () => {
      const holders = Array.from({ length: 3 }, () =>
        spawn('ssh', ['-tt', '-F', config, host, 'cat'], { env: cluster.env('joe') }),
      );
      try {
        await Promise.all(
          holders.map(
            (holder) =>
              new Promise((ready) => {
                holder.stdout.once('data', ready);
                holder.stdin.write('x\n');
              }),
          ),
        );
        const ran = await sh(`ssh -tt -F ${config} ${host} 'ls -l /proc/self/fd' < /dev/null`);
        const terminals = new Set([...ran.stdout.matchAll(/\/dev\/(?:pts\/\d+|ptmx)/g)].map((m) => m[0]));
        expect(terminals.size).toBe(1);
        expect(ran.stdout).not.toMatch(/socket:|anon_inode|log\.db/);
      } finally {
        for (const holder of holders) holder.kill();
      }
    });
    it('sets the environment users of such nodes know', async () => {
      const ran = await sh(`ssh -F ${config} ${host} env`);
      for (const name of [
        'SSH_TELEPORT_USER=joe',
        'SSH_TELEPORT_CLUSTER_NAME=example',
        'SSH_TELEPORT_HOST_UUID=',
        'SSH_SESSION_ID=',
        `USER=${login}`,
        'SSH_CONNECTION=127.0.0.1 ',
      ])
        expect(ran.stdout).toContain(name);
    });
  });

  describe('with tsh', () => {
    it('runs a shell in a terminal, and a full-screen program in it', async () => {
      const ran = await run('/usr/bin/expect', ['integration/node/tsh-shell.exp', `${login}@node1`], {
        env: cluster.env('joe'),
        timeoutMs: 60_000,
      });
      expect(ran.stdout).toContain('FULLSCREEN-OK');
      expect(ran.stdout).toContain('SIZE-OK');
      expect(ran.code).toBe(0);
    });
    it('tells a command that its output is not read any more, and waits for it', async () => {
      const done = join(cluster.dir, 'went-on');
      // The status of tsh itself, not of the pipe.
      const head = (command: string): Promise<Ran> =>
        sh(`{ timeout 60 tsh ssh ${login}@node1 '${command}'; echo "tsh $?" >&2; } | head -1`);
      expect(await head('exec yes')).toMatchObject({ stdout: 'y\n', stderr: 'tsh 141\n' });
      const ran = await head(`yes; echo $? > ${done}; exit 4`);
      expect(ran.stderr).toContain('tsh 4\n');
      expect(readFileSync(done, 'utf8')).toBe('141\n');
    });
    it('copies files and folders both ways', async () => {
      const dir = join(cluster.dir, 'tsh-copy');
      mkdirSync(join(dir, 'tree', 'deep'), { recursive: true });
      const data = randomBytes(1_000_000);
      writeFileSync(join(dir, 'tree', 'deep', 'file'), data);
      expect(
        await cluster.tsh('joe', ['scp', '-r', `${dir}/tree`, `${login}@node1:${dir}/there`]),
      ).toMatchObject({ code: 0 });
      expect(
        await cluster.tsh('joe', ['scp', '-r', `${login}@node1:${dir}/there`, `${dir}/back`]),
      ).toMatchObject({ code: 0 });
      expect(digest(readFileSync(join(dir, 'back', 'deep', 'file')))).toBe(digest(data));
    });
    it('refuses a login the role does not give', async () => {
      expect(await cluster.tsh('joe', ['ssh', 'nobody@node1', 'true'])).toMatchObject({
        code: 1,
        stderr: 'error: access denied to nobody connecting to node1 on cluster example\n',
      });
    });
    it('refuses a node that is not there', async () => {
      const ran = await cluster.tsh('joe', ['ssh', `${login}@elsewhere`, 'true']);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('error: failed connecting to node elsewhere.');
    });
    it('forwards a port with -L', async () => {
      const [local = 0] = await freePorts(1);
      const forward = spawn(
        'tsh',
        ['ssh', '-N', '-L', `${local}:127.0.0.1:${cluster.ports.diag}`, `${login}@node1`],
        { env: cluster.env('joe') },
      );
      const answer = await until('the forward', async () => {
        try {
          return await (await fetch(`http://127.0.0.1:${local}/healthz`)).text();
        } catch {
          return undefined; // not listening yet
        }
      });
      expect(answer).toBe('{"status":"ok"}');
      forward.kill('SIGINT');
    });
  });

  it('are in the audit: sessions, commands, transfers, forwards, refusals', async () => {
    const wanted = ['T2000I', 'T2004I', 'T2006I', 'T3002I', 'T3002E', 'T3003I', 'T3004I', 'T3005I', 'T3007W'];
    let missing = wanted;
    await until('all events to arrive', async () => {
      const listed = (await cluster.tctl('events', 'ls', '--format=json', '--limit=5000')).stdout;
      const found = listed
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { code: string }).code);
      missing = wanted.filter((code) => !found.includes(code));
      return missing.length === 0 ? true : undefined;
    }).catch(() => undefined);
    expect(missing).toEqual([]);
  });
});
