import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, until } from './cluster.ts';

/** One member of an etcd cluster, as a process. */
export interface EtcdMember {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  pid(): number;
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** Starts real etcd servers of this machine. `args` are given to each. */
export async function startEtcd(size = 1, args: readonly string[] = []): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'etcd-'));
  const ports = await freePorts(2 * size);
  const url = (port = 0): string => `http://127.0.0.1:${port}`;
  const initial = Array.from({ length: size }, (_, i) => `m${i}=${url(ports[2 * i + 1])}`).join(',');
  const members = Array.from({ length: size }, (_, i) =>
    member(join(directory, `m${i}`), [
      `--name=m${i}`,
      `--listen-client-urls=${url(ports[2 * i])}`,
      `--advertise-client-urls=${url(ports[2 * i])}`,
      `--listen-peer-urls=${url(ports[2 * i + 1])}`,
      `--initial-advertise-peer-urls=${url(ports[2 * i + 1])}`,
      `--initial-cluster=${initial}`,
      '--heartbeat-interval=50',
      '--election-timeout=500',
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

function member(directory: string, args: readonly string[]): EtcdMember {
  const url = args.find((one) => one.startsWith('--listen-client-urls='))?.split('=')[1] ?? '';
  let child: ChildProcess | undefined;
  let said = '';
  return {
    url,
    pid: () => child?.pid ?? 0,
    start: async () => {
      const started = spawn('etcd', [`--data-dir=${directory}`, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'], ETCD_UNSUPPORTED_ARCH: process.arch },
      });
      child = started;
      for (const stream of [started.stdout, started.stderr])
        stream.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
      await until('etcd to be healthy', async () => {
        if (started.exitCode !== null) throw new Error(`etcd ended: ${said}`);
        const answer = await fetch(`${url}/health`).catch(() => undefined);
        return answer?.ok === true ? true : undefined;
      });
    },
    kill: async () => {
      if (child?.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child?.once('close', done));
      child.kill('SIGKILL');
      await ended;
    },
  };
}
