import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

describe.runIf(isRoot)('sessions on a node', () => {
  let user: ThrowawayUser;
  let node: NodeBench;
  let config: string;
  let host: string;
  const children: ChildProcess[] = [];
  const start = (...args: string[]): ChildProcess => {
    const child = spawn('ssh', ['-F', config, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => undefined);
    children.push(child);
    return child;
  };
  const seen = (child: ChildProcess, pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (pattern.test(text)) resolve(text);
      });
      child.once('close', () => {
        reject(new Error(`it ended, having said: ${text}`));
      });
    });
  const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

  beforeAll(async () => {
    user = makeUser();
    node = await startNode({
      logins: ['root', user.name, 'ghost'],
      permitUserEnvironment: true,
      acceptEnv: ['FROM_*', 'WITH', 'MINE'],
      commandLabels: [{ name: 'kernel', command: ['uname', '-s'], periodSeconds: 3600 }],
    });
    config = node.person('alice');
    host = `${user.name}@node1`;
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await node.stop();
    user.remove();
  });

  it('runs a command as the login: its ids, its groups, its home', async () => {
    const ran = await node.sh(config, `$SSH ${host} 'id -u; id -Gn; pwd; umask'`);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toBe(`${user.uid}\n${user.name} ${user.name}x\n${user.home}\n0022\n`);
  });
  it('keeps both streams apart and gives the exact exit status', async () => {
    const ran = await node.sh(config, `$SSH ${host} 'echo out; echo err >&2; exit 77'`);
    expect(ran).toMatchObject({ code: 77, stdout: 'out\n', stderr: 'err\n' });
  });
  it('tells the signal that ended a program', async () => {
    const ran = await node.sh(config, `$SSH -v ${host} 'kill -KILL $$' 2>&1`);
    expect(ran.code).toBe(255);
    expect(ran.stdout).toContain('client_input_channel_req: channel 0 rtype exit-signal');
    expect(await toldOf(node, 'exec', { command: 'kill -KILL $$' })).toMatchObject({
      code: 'T3002E',
      exitError: 'signal: KILL',
    });
  });
  it('is byte-clean, both ways at once, for more than any buffer holds', async () => {
    const data = randomBytes(24 * 1024 * 1024);
    writeFileSync(join(node.directory, 'data'), data);
    const ran = await node.sh(
      config,
      `$SSH ${host} cat < ../data > back && cmp ../data back && $SSH ${host} 'head -c 1000' < ../data | wc -c`,
    );
    expect(ran).toMatchObject({ code: 0, stdout: '1000\n' });
  });
  it('passes on the end of input while output goes on', async () => {
    const ran = await node.sh(config, `echo abc | $SSH ${host} 'wc -c; echo later'`);
    expect(ran.stdout).toBe('4\nlater\n');
  });
  it('gives standard streams that programs can open by name', async () => {
    const ran = await node.sh(config, `$SSH ${host} 'echo a > /dev/stdout; echo b > /dev/stderr'`);
    expect(ran).toMatchObject({ stdout: 'a\n', stderr: 'b\n', code: 0 });
  });
  it('sets the environment, and takes from the client and from the home what is admitted', async () => {
    mkdirSync(join(user.home, '.tsh'), { recursive: true });
    writeFileSync(
      join(user.home, '.tsh', 'environment'),
      '# mine\nFROM_FILE=1\nLD_PRELOAD=/x\nWITH=a b=c\nPATH=/evil\nGIT_CONFIG_COUNT=1\n',
    );
    const ran = await node.sh(
      config,
      `LC_X='a "b" $c \\' MINE=2 LD_AUDIT=/evil.so BASH_ENV=/evil GIT_CONFIG_KEY_0=evil PAGER=/evil \
        $SSH -o SendEnv='LC_X MINE LD_* BASH_ENV GIT_* PAGER' -o SetEnv='PATH=/evil HOME=/evil SSH_TTY=/evil' ${host} env`,
    );
    const lines = new Set(ran.stdout.split('\n'));
    for (const line of [
      'LANG=en_US.UTF-8',
      `HOME=${user.home}`,
      `USER=${user.name}`,
      'SHELL=/bin/sh',
      'LC_X=a "b" $c \\',
      'FROM_FILE=1',
      'MINE=2',
      'WITH=a b=c',
      'SSH_TELEPORT_USER=alice',
      'SSH_TELEPORT_CLUSTER_NAME=example',
      'SSH_SESSION_WEBPROXY_ADDR=<proxyhost>:3080',
    ])
      expect(lines).toContain(line);
    expect(ran.stdout).toMatch(/^PATH=\/usr\/local\/bin:\/usr\/bin:\/bin/m);
    expect(ran.stdout).toMatch(/^SSH_CONNECTION=127\.0\.0\.1 \d+ 127\.0\.0\.1 \d+$/m);
    expect(ran.stdout).toMatch(/^SSH_SESSION_ID=[0-9a-f-]{36}$/m);
    expect(ran.stdout).not.toMatch(/evil|LD_|BASH_ENV|GIT_|TELEPORT_CONFIG|VITEST/);
  });
  it('gives a terminal of the login, with size, modes and a login shell', async () => {
    const shell = start('-tt', host);
    const ended = seen(shell, /END/);
    shell.stdin?.write(
      'echo $0; stat -c "%U %G %a" $(tty); stty size; ps -o sid= -p $$; echo E""ND; exit 5\n',
    );
    const text = await ended;
    expect(text).toContain(`${user.name} tty 620`);
    const code = await new Promise((resolve) => shell.once('exit', resolve));
    expect(code).toBe(5);
    expect(await toldOf(node, 'session.end', { interactive: true })).toMatchObject({ code: 'T2004I' });
  });
  it('follows the size of the window, and tells the audit', async () => {
    const ran = await node.sh(
      config,
      `expect ${join(import.meta.dirname, 'terminal.exp')} ${config} ${host}`,
    );
    expect(ran.stdout).toContain('SIZE-OK');
    expect(await toldOf(node, 'resize', {})).toMatchObject({ code: 'T2002I' });
  });
  it('sends every byte to a terminal whose program is slow, and stays alive meanwhile', async () => {
    const slow = start('-tt', host, 'stty raw -echo; echo ready; sleep 1; head -c 300000 | wc -c');
    await seen(slow, /ready/);
    slow.stdin?.write(Buffer.alloc(300_000, 'x'));
    // The daemon is this very process: a blocking write would stop it, and the next command with it.
    expect((await node.sh(config, `$SSH ${host} echo alive`)).stdout).toBe('alive\n');
    expect(await seen(slow, /300000/)).toContain('300000');
  });
  it('keeps many sessions on one connection apart, and shows none the descriptors of another', async () => {
    const socket = join(node.directory, 'master');
    expect((await node.sh(config, `$SSH -M -S ${socket} -fN ${host}`)).code).toBe(0);
    const holders = Array.from({ length: 3 }, () => start('-tt', '-S', socket, host, 'echo here; cat'));
    await Promise.all(holders.map((holder) => seen(holder, /here/)));
    const ran = await node.sh(
      config,
      `$SSH -tt -S ${socket} ${host} 'ls -l /proc/self/fd' < /dev/null; $SSH -S ${socket} ${host} 'ls -l /proc/self/fd' < /dev/null`,
    );
    const links = [...ran.stdout.matchAll(/ (\d+) -> (\S+)/g)].map(([, fd, to]) => `${fd} ${to ?? ''}`);
    expect(new Set([...ran.stdout.matchAll(/\/dev\/(?:pts\/\d+|ptmx)/g)].map(String)).size).toBe(1);
    expect(links.filter((link) => !/^[012] (\/dev\/pts\/\d+|pipe:)|^3 \/proc\//.test(link))).toEqual([]);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => node.sh(config, `$SSH -S ${socket} ${host} echo ${i}`)),
    );
    expect(answers.map((r) => r.stdout)).toEqual(Array.from({ length: 12 }, (_, i) => `${i}\n`));
    await node.sh(config, `$SSH -S ${socket} -O exit ${host}`);
  });
  it('ends the programs of a person who is gone, the whole group, also those that ignore HUP', async () => {
    const gone = start(host, 'sleep 600 & trap "" HUP; echo pids $$ $!; while :; do sleep 1; done');
    const pids =
      /pids (\d+) (\d+)/
        .exec(await seen(gone, /pids .*\n/))
        ?.slice(1)
        .map(Number) ?? [];
    expect(pids.filter(isAlive)).toHaveLength(2);
    gone.kill('SIGKILL');
    await until('the programs to be gone', () => (pids.some(isAlive) ? undefined : true));
  });
  it('leaves alone what a program left behind on purpose', async () => {
    const ran = await node.sh(config, `$SSH ${host} 'nohup sleep 60 > /dev/null 2>&1 & echo $!'`);
    const pid = Number(ran.stdout);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid);
  });
  it('passes signals on to the program, and says which one ended it', async () => {
    const client = await node.connect('alice', user.name);
    const session = await client.exec('echo ready; exec sleep 600');
    await new Promise((resolve) => session.channel.once('data', resolve));
    session.signal('USR1');
    expect(await session.exit).toMatchObject({ status: 'signalled', signal: 'USR1' });
    client.close();
  });
  it('says what cannot be launched', async () => {
    const ran = await node.sh(config, '$SSH ghost@node1 id');
    expect(ran).toMatchObject({ code: 255, stderr: 'Failed to launch: user: unknown user ghost.\n' });
    expect(await toldOf(node, 'exec', { login: 'ghost' })).toMatchObject({ code: 'T3002E', exitCode: '255' });
  });
  it('lends the agent on a socket that only the login can use', async () => {
    const ran = await node.sh(
      config,
      `eval $(ssh-agent) > /dev/null; ssh-add -q $(dirname ${config})/key
       $SSH -A ${host} 'ssh-add -l; stat -c "%U %a" $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK'; ssh-agent -k > /dev/null`,
    );
    expect(ran.stdout).toContain('ED25519');
    expect(ran.stdout).toContain(`${user.name} 600`);
    const path = ran.stdout.trim().split('\n').at(-1) ?? '';
    await until('the socket to be removed', () => (existsSync(path) ? undefined : true));
  });
  it('forwards ports with both ends of data, the far end in the audit', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    const port = await new Promise<number>((ready) => {
      echo.listen(0, '127.0.0.1', () => {
        ready((echo.address() as AddressInfo).port);
      });
    });
    const ran = await node.sh(config, `echo there and back | $SSH -W 127.0.0.1:${port} ${host}`);
    expect(ran.stdout).toBe('there and back\n');
    expect(await toldOf(node, 'port', { addr: `127.0.0.1:${port}` })).toMatchObject({
      code: 'T3003I',
      success: true,
    });
    echo.close();
    const refused = await node.sh(config, `$SSH -W 127.0.0.1:1 ${host} < /dev/null`);
    expect(refused.code).not.toBe(0);
    expect(await toldOf(node, 'port', { addr: '127.0.0.1:1' })).toMatchObject({ code: 'T3003E' });
  });
  it('does not start a session that the audit cannot take, and says so', async () => {
    node.setAuditFull(true);
    const ran = await node.sh(config, `$SSH ${host} 'touch ran-anyway'`);
    node.setAuditFull(false);
    expect(ran.code).toBe(255);
    expect(ran.stderr).toContain('cannot be recorded in the audit log: the disk is full');
    expect(existsSync(join(user.home, 'ran-anyway'))).toBe(false);
  });
  it('tells the audit each session from start to end, with user, addresses and bytes', async () => {
    await node.sh(config, `printf 12345 | $SSH ${host} 'cat; echo audited'`);
    const exec = await toldOf(node, 'exec', { command: 'cat; echo audited' });
    const all = await until('the whole session', () => {
      const mine = node.events.filter(({ sid }) => sid === exec.sid);
      return mine.length === 4 ? mine : undefined;
    });
    expect(all.map(({ event, code, ei }) => `${event} ${code} ${ei}`)).toEqual([
      'session.start T2000I 0',
      'exec T3002I 1',
      'session.end T2004I 2',
      'session.data T2006I 2147483646',
    ]);
    for (const event of all)
      expect(event).toMatchObject({
        user: 'alice',
        login: user.name,
        request_id: exec['request_id'],
        'addr.local': `127.0.0.1:${node.port()}`,
        server_hostname: 'node1',
        namespace: 'default',
      });
    expect(all[3]).toMatchObject({ rx: 5, tx: 13 });
  });
  it('announces itself with its labels, those of commands too', () => {
    expect(node.heartbeats[0]).toMatchObject({
      role: 'Node',
      nodename: 'node1',
      address: `127.0.0.1:${node.port()}`,
      labels: { env: 'test', kernel: 'Linux' },
    });
  });
  it('stops at once, with every program it started', async () => {
    const other = await startNode({ logins: [user.name] });
    const otherConfig = other.person('alice');
    const held = spawn('ssh', ['-F', otherConfig, host, 'echo pid $$; sleep 600'], { stdio: 'pipe' });
    const pid = Number(/pid (\d+)/.exec(await seen(held, /pid \d+\n/))?.[1]);
    const begun = performance.now();
    await other.stop();
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(isAlive(pid)).toBe(false);
    expect(other.told('session.end')).toHaveLength(1);
  });
});
