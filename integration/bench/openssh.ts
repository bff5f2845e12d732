import { spawn, type ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { until } from '../harness/run-program.ts';
import { freePorts } from '../harness/own-ports.ts';

export interface OpensshPair {
  /** Reaches the inner sshd through the outer one. */
  readonly jump: string;
  /** Reaches the inner sshd directly. */
  readonly direct: string;
  readonly pids: readonly number[];
  close(): void;
}

/** Two sshd on loopback, as a jump host and a server, with plain keys: what OpenSSH itself reaches here. */
export async function startOpenssh(): Promise<OpensshPair> {
  const dir = mkdtempSync(join(tmpdir(), 'openssh-'));
  chmodSync(dir, 0o755);
  mkdirSync('/run/sshd', { recursive: true });
  for (const name of ['host', 'user'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)]);
  execFileSync('cp', [join(dir, 'user.pub'), join(dir, 'authorized')]);
  const ports = await freePorts(2);
  const daemons: ChildProcess[] = ports.map((port) => {
    const config = join(dir, `sshd-${port}`);
    writeFileSync(
      config,
      [
        `Port ${port}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${join(dir, 'host')}`,
        `AuthorizedKeysFile ${join(dir, 'authorized')}`,
        `PidFile ${config}.pid`,
        'StrictModes no',
        'PermitRootLogin yes',
        'UsePAM no',
        'MaxStartups 1000',
        'MaxSessions 1000',
        'Subsystem sftp internal-sftp',
        '',
      ].join('\n'),
    );
    return spawn('/usr/sbin/sshd', ['-D', '-f', config], { stdio: 'ignore' });
  });
  await Promise.all(ports.map((port) => until('sshd', () => answers(port))));
  const options = `-F none -i ${join(dir, 'user')} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -c aes128-gcm@openssh.com`;
  const user = userInfo().username;
  const [outer = 0, inner = 0] = ports;
  return {
    direct: `ssh ${options} -p ${inner} ${user}@127.0.0.1`,
    jump: `ssh ${options} -o ProxyCommand='ssh ${options} -p ${outer} -W %h:%p ${user}@127.0.0.1' -p ${inner} ${user}@127.0.0.1`,
    pids: daemons.flatMap((d) => (d.pid === undefined ? [] : [d.pid])),
    close: () => {
      for (const daemon of daemons) daemon.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const answers = (port: number): Promise<true | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(undefined);
    });
  });
