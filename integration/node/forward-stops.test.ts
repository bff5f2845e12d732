import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser } from '../harness/people.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const login = userInfo().username;
const soon = 5_000;
const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const listening = (server: Server, backlog?: number): Promise<Server> =>
  new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog }, () => {
      resolve(server);
    });
  });

describe.runIf(isRoot)('forwards of a node', () => {
  let node: NodeBench;
  const servers: Server[] = [];
  const open: Socket[] = [];
  const targetThat = async (act: (socket: Socket) => void): Promise<number> => {
    const server = await listening(
      createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
        open.push(socket);
        socket.on('error', () => undefined);
        act(socket);
      }),
    );
    servers.push(server);
    return portOf(server);
  };
  /** A port of this machine that is listened on, and where no connection is completed: its queue is full. */
  const silentPort = async (): Promise<number> => {
    const code =
      'import socket,time; s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(0); print(s.getsockname()[1], flush=True); time.sleep(600)';
    const child = spawn('python3', ['-c', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', (told: Buffer) => {
        resolve(Number(told.toString()));
      });
      child.once('error', reject).once('exit', (exitCode) => {
        reject(new Error(`the silent port ended with ${exitCode}`));
      });
    });
    await until('its queue to be full', async () => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      open.push(socket);
      return (await run('ss', ['-Htn', 'state', 'syn-sent', `dport = :${port}`])).stdout === ''
        ? undefined
        : true;
    });
    return port;
  };
  const children: ChildProcess[] = [];
  const forwardsOf = (): unknown => node.running().diagnostics?.()['forwards'];
  const connectionsOf = (): unknown => node.running().diagnostics?.()['connections'];
  const opened = async (port: number) => {
    const client = await node.connect('alice', login);
    const channel = client.forwardOut({ host: '127.0.0.1', port });
    channel.catch(() => undefined);
    await until('the forward', () => (forwardsOf() === 1 ? true : undefined));
    return { client, channel };
  };

  beforeEach(async () => {
    node = await startNode({ logins: [login] });
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await node.stop();
  });

  it('that are being dialled end with their connection', async () => {
    const { client } = await opened(await silentPort());
    client.close();
    await until('the node to let go', () => (connectionsOf() === 0 ? true : undefined), soon);
    expect(node.told('port')).toMatchObject([{ success: false, error: 'the client has left' }]);
  });
  it('that are being dialled do not hold up a stop at once', async () => {
    await opened(await silentPort());
    const begun = performance.now();
    await node.running().stop(0);
    expect(performance.now() - begun).toBeLessThan(soon);
  });
  it('whose target takes nothing do not hold up a stop at once', async () => {
    const { channel } = await opened(await targetThat(() => undefined));
    const stream = await channel;
    while (stream.write(Buffer.alloc(64 * 1024)));
    stream.end();
    const begun = performance.now();
    await node.running().stop(0);
    expect(performance.now() - begun).toBeLessThan(soon);
  });
  it('whose client is gone while the target sends are closed, and a drain ends', async () => {
    let closed = false;
    const port = await targetThat((socket) => {
      const send = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024)));
      };
      socket.on('drain', send).on('close', () => (closed = true));
      send();
    });
    const { client, channel } = await opened(port);
    const stream = await channel;
    stream.end();
    await new Promise((resolve) => stream.once('data', resolve));
    stream.destroy();
    await until('the target to be let go', () => (closed ? true : undefined), soon);
    client.close();
    const begun = performance.now();
    await node.running().stop(600_000);
    expect(performance.now() - begun).toBeLessThan(soon);
  });
});

describe.runIf(isRoot)('many forwards of one connection', () => {
  it('are open at once, and what is too many is refused with words, and alone', async () => {
    const node = await startNode({ logins: [login] });
    const server = await listening(
      createServer((socket) => socket.on('error', () => undefined).pipe(socket)),
      2_000,
    );
    const client = await node.connect('alice', login);
    const target = { host: '127.0.0.1', port: portOf(server) };
    const channels = await Promise.all(Array.from({ length: 1_024 }, () => client.forwardOut(target)));
    await expect(client.forwardOut(target)).rejects.toThrow('too many channels');
    for (const [n, channel] of channels.entries()) channel.write(`word ${n}`);
    const words = await Promise.all(
      channels.map(
        (channel) =>
          new Promise((resolve) =>
            channel.once('data', (d: Buffer) => {
              resolve(d.toString());
            }),
          ),
      ),
    );
    expect(words).toEqual(channels.map((_, n) => `word ${n}`));
    channels[0]?.destroy();
    await until('room for another', () => client.forwardOut(target).catch(() => undefined), soon);
    client.close();
    server.close();
    await node.stop();
  });
});

describe('tsh -D', () => {
  let cluster: Cluster;
  let tsh: ChildProcess | undefined;
  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
  });
  afterAll(async () => {
    tsh?.kill('SIGKILL');
    await cluster.close();
  });

  it('keeps nothing of connections that are opened and closed without a word, or half-way, or refused', async () => {
    const [port = 0] = await freePorts(1);
    const child = spawn(
      'tsh',
      [
        'ssh',
        `--proxy=localhost:${cluster.ports.web}`,
        '--user=joe',
        '-N',
        '-D',
        `127.0.0.1:${port}`,
        `${login}@node1`,
      ],
      { env: cluster.env('joe'), stdio: 'ignore' },
    );
    tsh = child;
    const attempt = (words: number[]): Promise<true | undefined> =>
      new Promise((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
          socket.end(Buffer.from(words));
          socket.resume();
        });
        socket.once('error', () => {
          resolve(undefined);
        });
        socket.once('end', () => {
          resolve(true);
        });
      });
    await until('tsh', () => attempt([]));
    const descriptors = (): number => readdirSync(`/proc/${child.pid ?? 0}/fd`).length;
    const before = descriptors();
    const refused = [5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 22];
    const unreachable = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 1];
    for (const words of [[], [5], [5, 1, 0], [4, 1], refused, unreachable])
      for (let n = 0; n < 5; n++) expect(await attempt(words)).toBe(true);
    await until('all of them to be closed', () => (descriptors() <= before ? true : undefined), soon);
  });
});
