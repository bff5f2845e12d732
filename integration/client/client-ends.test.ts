/*
 * How tsh and tctl end: signals, readers that leave or stall, inputs and outputs that fail. Beside stock ssh
 * where it does the same.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const login = userInfo().username;

let cluster: Cluster;
let config: string;
/** Both as words of a shell. */
let clients: readonly (readonly [name: 'tsh' | 'ssh', command: string, host: string])[];
const sh = (command: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  run('/bin/bash', ['-c', command], { env: { ...cluster.env('joe'), ...env }, cwd: cluster.dir });

beforeAll(async () => {
  cluster = await startCluster();
  await createFirstUser(cluster, 'joe', { logins: [login] });
  config = await sshConfigFor(cluster, 'joe');
  clients = [
    ['tsh', 'tsh ssh', `${login}@node1`],
    ['ssh', `ssh -F ${config}`, `${login}@node1.example`],
  ];
});
afterAll(() => cluster.close());

/** Runs the same with tsh and with ssh; what came out of each, by name. */
async function beside(line: (client: string, host: string) => string): Promise<Record<'tsh' | 'ssh', Ran>> {
  const ran = {} as Record<'tsh' | 'ssh', Ran>;
  for (const [name, command, host] of clients) ran[name] = await sh(line(command, host));
  return ran;
}

const listens = async (port: number): Promise<true | undefined> =>
  (await run('ss', ['-Htln', `sport = :${port}`])).stdout === '' ? undefined : true;

const ended = async (child: ChildProcess): Promise<number | string> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode ?? '';
};

describe('signals', () => {
  it('that were ignored when tsh was started end nothing, as with ssh', async () => {
    const [ours = 0, theirs = 0] = await freePorts(2);
    const tunnel = (client: string, port: number, host: string): ChildProcess =>
      spawn(
        '/bin/sh',
        ['-c', `trap '' HUP INT QUIT; exec ${client} -N -L ${port}:127.0.0.1:${cluster.ports.diag} ${host}`],
        { env: cluster.env('joe'), stdio: 'ignore' },
      );
    const ports = { tsh: ours, ssh: theirs };
    const tunnels = clients.map(([name, command, host]) => tunnel(command, ports[name], host));
    await until('both tunnels', async () => ((await listens(ours)) === true ? listens(theirs) : undefined));
    for (const child of tunnels)
      for (const name of ['SIGHUP', 'SIGINT', 'SIGQUIT'] as const) child.kill(name);
    expect(await (await fetch(`http://127.0.0.1:${ours}/healthz`)).text()).toContain('ok');
    for (const child of tunnels) child.kill('SIGTERM');
    expect((await Promise.all(tunnels.map(ended)))[0]).toBe(143);
  });

  it.each([
    ['TERM', 143],
    ['INT', 130],
    ['HUP', 129],
    ['QUIT', 131],
  ])('%s restores the terminal and ends a session with %i', async (name, status) => {
    const command = ['tsh', 'ssh', '-t', `${login}@node1`, 'echo READY; sleep 60'];
    expect(await signalled('terminal', name, 'READY', command)).toEqual({ status, restored: true });
  });

  it('leave a question for the password with the terminal as it was', async () => {
    const command = ['tsh', `--proxy=localhost:${cluster.ports.web}`, '--user=joe', 'login'];
    const env = { TSH_HOME: join(cluster.dir, 'nobody') };
    expect(await signalled('terminal', 'TERM', 'Enter password', command, env)).toEqual({
      status: 143,
      restored: true,
    });
  });

  it.each([
    ['a terminal', 'stalled-terminal', ['-t']],
    ['a terminal without a remote one', 'stalled-terminal', []],
    ['a pipe', 'stalled-pipe', []],
  ] as const)('end a session whose output nobody reads, %s, as with ssh', async (_, mode, options) => {
    for (const [name, client, host] of clients) {
      const command = [...client.split(' '), ...options, host, 'echo READY; exec yes'];
      const { status } = await signalled(mode, 'TERM', 'READY', command);
      expect([name, status]).toEqual([name, name === 'tsh' ? 143 : 255]);
    }
  });

  it.each([
    ['by its launcher', [resolve('bin/tsh')]],
    ['without it', [process.execPath, resolve('dist/tsh.js')]],
  ])('USR1 opens no debugger in tsh, started %s', async (_, argv) => {
    const child = spawn(argv[0] ?? '', [...argv.slice(1), 'ssh', `${login}@node1`, 'echo READY; cat'], {
      env: cluster.env('joe'),
    });
    let errors = '';
    child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    await once(child.stdout, 'data');
    child.kill('SIGUSR1');
    child.stdin.end('still here\n');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('still here\n');
    expect([await ended(child), errors]).toEqual([0, '']);
  });
});

describe('standard streams', () => {
  it.each([
    ['a folder', '< /tmp'],
    ['closed', '<&-'],
    ['open for writing only', '0> write-only'],
    ['a file', '< /etc/passwd'],
    ['nothing', '< /dev/null'],
  ])('take a stdin that is %s as ssh does', async (_, redirection) => {
    const { tsh, ssh } = await beside((client, host) => `${client} ${host} 'echo ran; wc -c' ${redirection}`);
    expect(tsh).toMatchObject({ code: ssh.code, stdout: ssh.stdout });
    expect(tsh.stderr).toMatch(/^$|^WARNING: standard input cannot be read \(E[A-Z]+: [^\n]*\n$/);
  });

  it('go on when the reader of stderr leaves, as with ssh', async () => {
    const command = 'for i in 1 2 3 4 5 6; do echo e >&2; echo o$i; sleep .2; done; echo whole';
    const { tsh, ssh } = await beside(
      (client, host) => `${client} ${host} '${command}' </dev/null 2> >(head -1 >/dev/null)`,
    );
    expect(ssh.stdout).toMatch(/whole\n$/);
    expect(tsh).toMatchObject({ code: 0, stdout: ssh.stdout });
  });
  it('go on when it leaves and more comes than the window holds, where ssh waits for ever', async () => {
    const command = 'echo e >&2; sleep 1; echo e >&2; head -c 20000000 /dev/zero >&2; echo whole';
    const ran = await sh(`tsh ssh ${login}@node1 '${command}' </dev/null 2> >(head -1 >/dev/null)`);
    expect(ran).toMatchObject({ code: 0, stdout: 'whole\n' });
  });

  it.each([
    ['tsh ls'],
    ['tsh status'],
    [`tsh ssh ${login}@node1 'seq 1 100000' </dev/null`],
    ['tctl --config "$CONFIG" status'],
    ['tctl --config "$CONFIG" tokens ls'],
  ])('say why when stdout is full: %s', async (command) => {
    const ran = await sh(`${command} >/dev/full`, { CONFIG: cluster.config });
    expect(ran).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: cannot write to standard output: ENOSPC: [^\n]*\n$/) as string,
    });
  });

  it('end without a word when the reader of stdout leaves', async () => {
    const ran = await sh('tsh ls | true; echo ${PIPESTATUS[0]}');
    expect(ran).toMatchObject({ stderr: '' });
    expect(['0\n', '141\n']).toContain(ran.stdout);
  });

  it('are left to whoever shares them as they were: waiting', async () => {
    const flags = "sed -n 's/^flags:.*\\(....\\)$/\\1/p' /proc/self/fdinfo/0";
    const ran = await sh(`mkfifo shared; (sleep 5; echo late) > shared &
      { ${flags}; tsh ssh -N bad@nowhere >/dev/null 2>&1; tsh status >/dev/null; ${flags}; cat; } < shared`);
    expect(ran).toMatchObject({ code: 0, stdout: '0000\n0000\nlate\n', stderr: '' });
  });
});

describe.runIf(isRoot)('a machine without /bin/sh', () => {
  it.each([
    ['version', 0],
    ['no-such-command', 1],
  ])('has tsh %s end with %i', async (command, code) => {
    const hidden = 'mount --bind /dev/null "$(readlink -f /bin/sh)" && exec "$0" dist/tsh.js "$1"';
    const ran = await run('unshare', ['--mount', '/bin/bash', '-c', hidden, process.execPath, command]);
    expect(ran).toMatchObject({ code, signal: null });
  });
});

describe.runIf(isRoot)('a uid without a passwd record', () => {
  const uid = 54_321;
  const as = (line: string): string =>
    `setpriv --reuid=${uid} --regid=${uid} --clear-groups env -i PATH="$PATH" SSL_CERT_FILE=cert.pem ${line}`;
  beforeAll(async () => {
    const home =
      'cp -r home/joe container && chown -R 54321:54321 container && cp data/webproxy_cert.pem cert.pem';
    expect(await sh(home)).toMatchObject({ code: 0 });
  });

  it('is at home in $HOME', async () => {
    const ran = await sh(as(`HOME=$PWD/container tsh ssh ${login}@node1 echo ran`));
    expect(ran).toMatchObject({ code: 0, stdout: 'ran\n', stderr: '' });
  });
  it('is called as LOGNAME or USER says', async () => {
    const ran = await sh(as('HOME=$PWD/container USER=somebody tsh ssh node1 true'));
    expect(ran.stderr).toContain('access denied to somebody connecting to node1');
  });
  it('is told what to set when nothing says who and where it is', async () => {
    const where = await sh(as('tsh status'));
    expect(where.stderr).toMatch(
      /^error: uid 54321 has no home folder: .* Set HOME \(or TSH_HOME\) to a folder\n$/,
    );
    const who = await sh(as('HOME=$PWD/container tsh ssh node1 true'));
    expect(who.stderr).toMatch(/^error: uid 54321 has no name: .* Set USER, /);
  });
});

interface Ended {
  readonly status: number | string;
  readonly restored: boolean;
}

/** Runs a command until it prints `marker`, and sends it a signal. */
async function signalled(
  mode: 'terminal' | 'stalled-terminal' | 'stalled-pipe',
  signal: string,
  marker: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const args = [resolve('integration/client/terminal-signal.py'), mode, signal, marker, ...command];
  const ran = await run('python3', args, { env: { ...cluster.env('joe'), TERM: 'xterm', ...env } });
  if (ran.code !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as Ended;
}
