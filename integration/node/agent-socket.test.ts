import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { run, until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';
import { freePorts } from '../harness/own-ports.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const temporary = process.env['TMPDIR'];
let node: NodeBench;
let config: string;
let folder: string;
const ends: (() => void)[] = [];
beforeAll(async () => {
  node = await startNode({ permitUserEnvironment: true });
  config = node.person('alice');
  folder = mkdtempSync(join(tmpdir(), 'agent-test-'));
});
afterEach(() => {
  if (temporary === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = temporary;
});
afterAll(async () => {
  for (const end of ends) end();
  await node.stop();
  rmSync(folder, { recursive: true });
});

/** An ssh_config of OpenSSH's own server, for the same key. */
async function sshdConfig(): Promise<string> {
  const [port = 0] = await freePorts(1);
  const key = join(dirname(config), 'key');
  mkdirSync('/run/sshd', { recursive: true });
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')]);
  writeFileSync(join(folder, 'keys'), (await run('ssh-keygen', ['-y', '-f', key])).stdout, { mode: 0o600 });
  writeFileSync(
    join(folder, 'sshd'),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${join(folder, 'host')}
AuthorizedKeysFile ${join(folder, 'keys')}
StrictModes no
PidFile none
PermitRootLogin yes
UsePAM no
`,
  );
  const server = spawn('/usr/sbin/sshd', ['-D', '-f', join(folder, 'sshd')], { stdio: 'ignore' });
  ends.push(() => server.kill());
  const path = join(folder, 'config');
  writeFileSync(
    path,
    `Host node1
  HostName 127.0.0.1
  Port ${port}
  IdentityFile ${key}
  IdentitiesOnly yes
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  BatchMode yes
  LogLevel ERROR
`,
  );
  await until('sshd to answer', async () =>
    (await node.sh(path, '$SSH root@node1 true')).code === 0 ? true : undefined,
  );
  return path;
}

/**
 * Two sessions of one connection one after the other, what they see of the agent, and whether it is there
 * after each.
 */
const twoSessions = `
  eval $(ssh-agent) > /dev/null
  ssh-add -q KEY
  S="$SSH -A -o ControlMaster=auto -o ControlPath=$PWD/master-$$ -o ControlPersist=60 root@node1"
  first=$($S 'echo $SSH_AUTH_SOCK')
  second=$($S 'echo $SSH_AUTH_SOCK')
  test -n "$first" && test "$first" = "$second" && echo the same socket
  test -S "$first" && echo there between the sessions
  $S "SSH_AUTH_SOCK=$first ssh-add -l > /dev/null" && echo it answers
  $SSH -o ControlPath=$PWD/master-$$ -O exit root@node1 2> /dev/null
  for i in $(seq 100); do test -e "$first" || break; sleep .1; done
  test -e "$first" || echo gone with the connection
  ssh-agent -k > /dev/null`;

describe.runIf(isRoot)('the agent on a node', () => {
  it.each(['our node', 'sshd'])('has one socket for a connection, and ends with it: %s', async (server) => {
    const path = server === 'sshd' ? await sshdConfig() : config;
    const ran = await node.sh(path, twoSessions.replace('KEY', join(dirname(config), 'key')));
    expect(ran.stderr).toBe('');
    expect(ran.stdout.split('\n')).toEqual([
      'the same socket',
      'there between the sessions',
      'it answers',
      'gone with the connection',
      '',
    ]);
  });
  it('leaves nothing behind', () => {
    const left = readdirSync(tmpdir()).filter((name) =>
      existsSync(join(tmpdir(), name, `teleport-${process.pid}.socket`)),
    );
    expect(left).toEqual([]);
  });
  it('is missing where its folder cannot be made; the session has the rest, says so, and ends on record', async () => {
    process.env['TMPDIR'] = join(folder, 'not-there');
    const ran = await node.sh(
      config,
      `eval $(ssh-agent) > /dev/null; $SSH -A root@node1 'echo "ran [$SSH_AUTH_SOCK]"; exit 3'
       echo status $?; ssh-agent -k > /dev/null`,
    );
    expect(ran.stdout).toBe('ran []\nstatus 3\n');
    expect(ran.stderr).toMatch(
      /^your agent is not forwarded to this session: no socket can be made in .*not-there: ENOENT: .*\n$/,
    );
    const { sid } = await toldOf(node, 'exec', { command: 'echo "ran [$SSH_AUTH_SOCK]"; exit 3' });
    await toldOf(node, 'session.end', { sid });
    // On the same connection it is tried again.
    delete process.env['TMPDIR'];
    expect((await node.sh(config, `$SSH -A root@node1 'echo ran'`)).stdout).toBe('ran\n');
  });
});
