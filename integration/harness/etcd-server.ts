import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { run, until } from './run-program.ts';
import { freePorts } from './own-ports.ts';

/** One member of an etcd cluster, as a process. */
export interface EtcdMember {
  /** `http://127.0.0.1:port`, or `https:` */
  readonly url: string;
  /** @param programs the directory of another version, from now on. */
  start(programs?: string): Promise<void>;
  kill(): Promise<void>;
  pid(): number;
  /** Ends it, puts it back to a snapshot of `etcdctl`, and starts it again. Only for a cluster of one. */
  restore(snapshot: string): Promise<void>;
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/**
 * Files in PEM form. With `ca`, clients must show a certificate of that authority; the server's own must be
 * one.
 */
export interface EtcdTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/**
 * Starts real etcd servers. `args` are given to each. With `tls`, clients speak TLS to them.
 * @param programs where the program `etcd` lies; default: where this machine has it.
 */
export async function startEtcd(
  size = 1,
  args: readonly string[] = [],
  tls?: EtcdTls,
  programs = process.env['ETCD_PROGRAMS'] ?? '',
): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'etcd-'));
  const ports = await freePorts(2 * size);
  const url = (port = 0): string => `http://127.0.0.1:${port}`;
  const clientUrl = (port = 0): string => (tls ? `https://127.0.0.1:${port}` : url(port));
  const initial = Array.from({ length: size }, (_, i) => `m${i}=${url(ports[2 * i + 1])}`).join(',');
  const members = Array.from({ length: size }, (_, i) =>
    member(join(directory, `m${i}`), clientUrl(ports[2 * i]), { tls, programs }, [
      `--name=m${i}`,
      `--listen-client-urls=${clientUrl(ports[2 * i])}`,
      `--advertise-client-urls=${clientUrl(ports[2 * i])}`,
      `--listen-peer-urls=${url(ports[2 * i + 1])}`,
      `--initial-advertise-peer-urls=${url(ports[2 * i + 1])}`,
      `--initial-cluster=${initial}`,
      '--heartbeat-interval=50',
      '--election-timeout=500',
      ...(tls ? [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`] : []),
      ...(tls?.ca === undefined ? [] : [`--trusted-ca-file=${tls.ca}`, '--client-cert-auth']),
      ...args,
    ]),
  );
  await Promise.all(members.map((one) => one.start()));
  return {
    members,
    urls: members.map((one) => one.url),
    close: async () => {
      await Promise.all(members.map((one) => one.kill()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/**
 * What `etcdctl` prints, asked of all members, with `input` to read. @throws Error with what it says when it
 * fails.
 */
export async function etcdctl(
  { urls }: Pick<EtcdCluster, 'urls'>,
  line: string,
  input = '',
): Promise<string> {
  const args = [`--endpoints=${urls.join(',')}`, ...line.split(' ')];
  const env = { PATH: process.env['PATH'], ETCDCTL_API: '3' };
  const { code, stdout, stderr } = await run('etcdctl', args, { env, input });
  if (code !== 0) throw new Error(`etcdctl ${line}: ${stderr}`);
  return stdout;
}

/** The index of the member that leads. */
export async function leaderOf(cluster: EtcdCluster): Promise<number> {
  return until('etcd to have a leader', async () => {
    for (const [i, { url }] of cluster.members.entries()) {
      const client = new Etcd3({ hosts: url });
      try {
        const { leader, header } = await client.maintenance.status({ deadline: Date.now() + 1_000 });
        if (leader === header.member_id) return i;
      } catch {
        // this one is away
      } finally {
        client.close();
      }
    }
    return undefined;
  });
}

/** Whether `/health` answers that it is. */
function healthy(url: string, tls: EtcdTls | undefined): Promise<boolean> {
  return new Promise((settle) => {
    const sent = tls
      ? secure(`${url}/health`, {
          cert: readFileSync(tls.cert),
          key: readFileSync(tls.key),
          rejectUnauthorized: false,
          agent: false,
        })
      : plain(`${url}/health`, { agent: false });
    sent.on('response', (answer) => {
      answer.resume();
      settle(answer.statusCode === 200);
    });
    sent.on('error', () => {
      settle(false);
    });
    sent.end();
  });
}

function member(
  directory: string,
  url: string,
  { tls, programs }: { readonly tls: EtcdTls | undefined; readonly programs: string },
  args: readonly string[],
): EtcdMember {
  let used = programs;
  let child: ChildProcess | undefined;
  let said = '';
  const made: EtcdMember = {
    url,
    pid: () => child?.pid ?? 0,
    restore: async (snapshot) => {
      await made.kill();
      rmSync(directory, { recursive: true, force: true });
      const whose = args.filter((one) =>
        /^--(?:name|initial-cluster|initial-advertise-peer-urls)=/.test(one),
      );
      await etcdctl(
        { urls: [url] },
        ['snapshot', 'restore', snapshot, `--data-dir=${directory}`, ...whose].join(' '),
      );
      await made.start();
    },
    start: async (other = used) => {
      used = other;
      const started = spawn(join(used, 'etcd'), [`--data-dir=${directory}`, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'], ETCD_UNSUPPORTED_ARCH: process.arch },
      });
      child = started;
      for (const stream of [started.stdout, started.stderr])
        stream.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
      await until('etcd to be healthy', async () => {
        if (started.exitCode !== null) throw new Error(`etcd ended: ${said}`);
        return (await healthy(url, tls)) ? true : undefined;
      });
    },
    kill: async () => {
      if (child?.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child?.once('close', done));
      child.kill('SIGKILL');
      await ended;
    },
  };
  return made;
}
