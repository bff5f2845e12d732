import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

/**
 * The uid that owns the other end of a connection from this machine. Both ports are compared: a closed
 * connection in TIME_WAIT, which root owns, may have either of them.
 */
function ownerOf({ remotePort = 0, localPort = 0 }: Socket): string | undefined {
  const ended = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .find(
      ([, local, remote]) => local?.endsWith(ended(remotePort)) && remote?.endsWith(ended(localPort)),
    )?.[7];
}

describe.runIf(isRoot)('what a node does for a login', () => {
  let user: ThrowawayUser;
  let node: NodeBench;
  let config: string;
  let host: string;
  beforeAll(async () => {
    user = makeUser();
    node = await startNode({ logins: ['root', user.name] });
    config = node.person('alice');
    host = `${user.name}@node1`;
  });
  afterAll(async () => {
    await node.stop();
    user.remove();
  });

  it.each([
    ['has expired', 'it has expired', ['chage', '-E', '0'], ['chage', '-E', '-1']],
    ['is locked', 'it is locked', ['usermod', '-p', '!'], ['usermod', '-p', '*']],
    [
      'has a password that must be changed',
      'its password must be changed first',
      ['sh', '-c', 'usermod -p "\\$6\\$x" "$0" && chage -d 0 "$0"'],
      ['sh', '-c', 'usermod -p "*" "$0" && chage -d 19000 "$0"'],
    ],
  ] as const)('admits nobody to an account that %s, and says so', async (_what, why, close, open) => {
    const set = (argv: readonly string[]): void => {
      execFileSync(argv[0] ?? '', [...argv.slice(1), user.name]);
    };
    set(close);
    const ran = await node.sh(config, `$SSH ${host} touch ran-anyway`);
    const forwarded = await node.sh(config, `$SSH -W 127.0.0.1:9 ${host} < /dev/null`);
    set(open);
    const reason = `the account ${user.name} cannot be used: ${why}`;
    expect(ran).toMatchObject({ code: 255, stdout: '', stderr: `Failed to launch: ${reason}.\n` });
    expect(existsSync(join(user.home, 'ran-anyway'))).toBe(false);
    expect(await toldOf(node, 'exec', { exitError: `Failed to launch: ${reason}.` })).toMatchObject({
      code: 'T3002E',
      login: user.name,
    });
    expect(forwarded.code).not.toBe(0);
    expect(await toldOf(node, 'port', { error: reason })).toMatchObject({ code: 'T3003E' });
    expect(node.sink.lines.join('\n')).toContain('a login was refused by this machine');
  });
  it('dials forwards as the login: the socket is its own, not of root', async () => {
    const owners: (string | undefined)[] = [];
    const listener = createServer((socket) => {
      owners.push(ownerOf(socket));
      socket.end('seen\n');
    });
    const port = await new Promise<number>((ready) => {
      listener.listen(0, '127.0.0.1', () => {
        ready((listener.address() as AddressInfo).port);
      });
    });
    execFileSync('usermod', ['-s', '/usr/sbin/nologin', user.name]);
    const many = await Promise.all(
      Array.from({ length: 8 }, () => node.sh(config, `$SSH -W localhost:${port} ${host} < /dev/null`)),
    );
    execFileSync('usermod', ['-s', '/bin/sh', user.name]);
    listener.close();
    // What is known of an account is kept for a moment.
    await until('the account to have its shell again', async () =>
      (await node.sh(config, `$SSH ${host} true`)).code === 0 ? true : undefined,
    );
    expect(many.map(({ stdout }) => stdout)).toEqual(Array(8).fill('seen\n'));
    expect(owners).toEqual(Array(8).fill(String(user.uid)));
    // What the daemon itself does is root's again.
    expect(readFileSync('/proc/thread-self/status', 'utf8')).toMatch(/^Uid:(\t0){4}\nGid:(\t0){4}$/m);
  });

  it('makes files as a login does, whatever the umask of the daemon', async () => {
    for (const ours of [0o000, 0o077]) {
      const before = process.umask(ours); // the node is this very process
      const ran = await node.sh(config, `$SSH ${host} umask; $SSH root@node1 umask`);
      process.umask(before);
      expect(ran.stdout).toBe('0022\n0022\n');
    }
  });
  it('signals as the login: a set-uid program that has become root is not reached, nor waited for', async () => {
    const suid = join(node.directory, 'become-root');
    copyFileSync('/usr/bin/setpriv', suid);
    chmodSync(suid, 0o4755);
    chmodSync(node.directory, 0o711);
    const client = await node.connect('alice', user.name);
    const session = await client.exec(`echo $$; exec ${suid} --reuid=0 --regid=0 --clear-groups sleep 600`);
    const pid = Number(await new Promise((resolve) => session.channel.once('data', resolve)));
    await until('it to be root', () => (uidsOf(pid) === '0\t0\t0\t0' ? true : undefined));
    session.signal('KILL');
    const other = await client.exec('echo ready; exec sleep 600');
    await new Promise((resolve) => other.channel.once('data', resolve));
    // Its own programs are reached; by then the signal before it was sent, too.
    other.signal('USR1');
    expect(await other.exit).toMatchObject({ status: 'signalled', signal: 'USR1' });
    expect(uidsOf(pid)).toBe('0\t0\t0\t0');
    client.close();
    expect(
      await toldOf(node, 'exec', { exitError: 'it is not known how it ended', login: user.name }),
    ).toMatchObject({ code: 'T3002E' });
    expect(uidsOf(pid)).toBe('0\t0\t0\t0');
    process.kill(pid, 'SIGKILL');
  });
});

const uidsOf = (pid: number): string | undefined =>
  /^Uid:\t(.*)$/m.exec(existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '')?.[1];
