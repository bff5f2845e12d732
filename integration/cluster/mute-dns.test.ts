import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nameLookup, type LookUpName } from '../../src/base/name-lookup.ts';
import { ResolverProcess } from '../../src/base/resolver-process.ts';
import { startResolver } from '../../src/process/start-resolver.ts';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { freePorts } from '../harness/own-ports.ts';
import { programPath } from './own-resolver.ts';
import { createFirstUser } from '../harness/people.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const alive = new AbortController().signal;
const soon = 4_000;

const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')
    .map(Number);
const resolversOf = (pid: number): number[] =>
  childrenOf(pid).filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('look-up-names'));

describe('the process that looks up names', () => {
  const opened: ResolverProcess[] = [];
  const open = (command = [...programPath, 'look-up-names'], idleMs?: number): LookUpName => {
    const resolver = new ResolverProcess(
      () => startResolver(command),
      idleMs === undefined ? {} : { idleMs },
    );
    opened.push(resolver);
    return nameLookup(resolver.ask);
  };
  afterEach(async () => {
    for (const resolver of opened.splice(0)) resolver.close();
    await until('its end', () => (resolversOf(process.pid).length === 0 ? true : undefined));
  });
  const by = (name: string) => ({ by: name, signal: alive });

  it('answers as getaddrinfo does: by the hosts file, and what is not known', async () => {
    const lookUp = open();
    expect(await lookUp('localhost', by('alice'))).toContain('127.0.0.1');
    for (const name of ['no-such-name.invalid', 'with\nline', '"quoted"', '-s', ''])
      await expect(lookUp(name, by('alice'))).rejects.toMatchObject({ name: 'CodedError' });
    expect(await lookUp('localhost', by('alice'))).toContain('127.0.0.1');
  });
  it('is one, and ends when nobody has asked for a while', async () => {
    const lookUp = open(undefined, 1);
    await Promise.all(['a', 'b', 'c'].map((who) => lookUp('localhost', by(who))));
    await until('its end', () => (resolversOf(process.pid).length === 0 ? true : undefined));
    expect(await lookUp('localhost', by('alice'))).toContain('127.0.0.1');
  });
  it('is started again when it was killed', async () => {
    const lookUp = open();
    await lookUp('localhost', by('alice'));
    for (const pid of resolversOf(process.pid)) process.kill(pid, 'SIGKILL');
    expect(await lookUp('localhost', by('alice'))).toContain('127.0.0.1');
  });
  it.each([
    ['does not start', ['/no/such/program']],
    ['ends at once', ['/bin/false']],
  ])('that %s is told as such', async (_what, command) => {
    await expect(open(command)('localhost', by('alice'))).rejects.toThrow(
      /^the name localhost cannot be looked up: (\/no\/such\/program: ENOENT: .*|its process ended \(status 1\))$/,
    );
  });
});

/** In a mount namespace whose resolver is an address that drops everything. */
describe.runIf(isRoot)('with a DNS that does not answer', () => {
  let cluster: Cluster;
  let echo: Server;
  const children: ChildProcess[] = [];
  const forward = async (person: string, target: string): Promise<number> => {
    const [port = 0] = await freePorts(1);
    const child = spawn(
      'tsh',
      [
        'ssh',
        `--proxy=localhost:${cluster.ports.web}`,
        `--user=${person}`,
        '-N',
        '-L',
        `127.0.0.1:${port}:${target}`,
        'root@node1',
      ],
      { env: cluster.env(person), stdio: 'ignore' },
    );
    children.push(child);
    await until('tsh to listen', () => tries(port));
    return port;
  };
  const tries = (port: number): Promise<true | undefined> =>
    new Promise((done) => {
      const socket = connect(port, '127.0.0.1', () => {
        done(true);
        socket.destroy();
      }).on('error', () => {
        done(undefined);
      });
    });
  /** How long it takes for a word to come back. */
  const roundTrip = (port: number): Promise<number> =>
    new Promise((done, fail) => {
      const begun = performance.now();
      const socket = connect(port, '127.0.0.1', () => socket.write('word'));
      socket
        .once('data', () => {
          done(performance.now() - begun);
          socket.destroy();
        })
        .on('error', fail)
        .on('close', () => {
          fail(new Error('closed'));
        });
    });

  beforeAll(async () => {
    echo = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((ready) => {
      echo.listen(0, '127.0.0.1', ready);
    });
    const mute = spawn('python3', [
      '-c',
      'import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("127.0.0.77",53)); print("", flush=True); time.sleep(900)',
    ]);
    children.push(mute);
    await new Promise((ready) => mute.stdout.once('data', ready));
    const path = `/tmp/mute-dns-${process.pid}.conf`;
    writeFileSync(path, 'nameserver 127.0.0.77\noptions timeout:15 attempts:2\n');
    cluster = await startCluster({
      within: ['unshare', '--mount', 'sh', '-c', `mount --bind ${path} /etc/resolv.conf && exec "$@"`, 'sh'],
    });
    for (const name of ['joe', 'jane']) await createFirstUser(cluster, name, { logins: ['root'] });
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    echo.close();
    await cluster.close();
  });

  it('holds up nobody: another goes on to names and addresses, and the daemon ends at once', async () => {
    const port = (echo.address() as AddressInfo).port;
    const stuck = await Promise.all(
      Array.from({ length: 12 }, (_, n) => forward('joe', `dead-${n}.example:80`)),
    );
    const sockets = stuck.map((one) => connect(one, '127.0.0.1').on('error', () => undefined));
    await until('questions', async () =>
      (await run('ss', ['-Hun', 'dst 127.0.0.77'])).stdout === '' ? undefined : true,
    );
    const [named, numbered] = [
      await forward('jane', `localhost:${port}`),
      await forward('jane', `127.0.0.1:${port}`),
    ];
    expect(await roundTrip(named)).toBeLessThan(soon);
    expect(await roundTrip(numbered)).toBeLessThan(soon);
    expect(await roundTrip(await forward('joe', `127.0.0.1:${port}`))).toBeLessThan(soon);
    expect((await cluster.tsh('jane', ['ssh', 'root@node1', 'echo', 'there'])).stdout).toBe('there\n');
    const begun = performance.now();
    await cluster.stop();
    expect(performance.now() - begun).toBeLessThan(2 * soon);
    for (const socket of sockets) socket.destroy();
  }, 240_000);
});
