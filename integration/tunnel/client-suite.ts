import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../harness/own-ports.ts';
import { createFarNetwork, type FarNetwork, type LongLink } from '../harness/far-network.ts';
import { createFirstUser, logIn, sshConfigFor } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import type { Reloadable } from '../restart/reloadable.ts';
import { clientsOfOtherReleases, expectToGo } from '../ssh/other-releases.ts';
import { type TurnBalancer, turnBalancer } from './turn-balancer.ts';
import { type Front, hangingOn, startTunnelFleet, type TunnelFleet } from './tunnel-fleet.ts';

const login = userInfo().username;
const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Says something to a port; what it hears first, or undefined when nobody listens yet. */
const say = (port: number, words: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(words));
    socket.once('error', () => {
      resolve(undefined);
    });
    socket.once('close', () => {
      resolve(undefined);
    });
    socket.once('data', (data: Buffer) => {
      resolve(data.toString());
      socket.destroy();
    });
  });

/**
 * What clients do with a node that hangs on one of two proxies, at that one or at the other. As in 4.4 there
 * is no -R.
 * @param link the node is behind NAT, at the other end of such a link, and reaches a balancer alone.
 */
export async function describeClients(way: 'a tunnel' | 'a peer', link?: LongLink): Promise<void> {
  const others = link === undefined ? await clientsOfOtherReleases() : [];
  let fleet: TunnelFleet;
  let node: Reloadable;
  let echo: Server;
  let echoPort: number;
  let network: FarNetwork | undefined;
  let balancer: TurnBalancer | undefined;
  /** This machine, as the node reaches it, and a proxy on it. */
  let here = '127.0.0.1';
  let webPort: number;
  let front: Front;
  let config: string;
  let dir: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    fleet = await startTunnelFleet(2);
    const [one, two] = fleet.fronts;
    if (one === undefined || two === undefined) throw new Error('two proxies');
    const { auth } = fleet.cluster;
    await auth.stop();
    auth.configure(
      fleet.cluster
        .authYaml()
        .replace(
          'auth_service:\n',
          'auth_service:\n  tunnel_strategy: {type: proxy_peering, agent_connection_count: 1}\n',
        ),
    );
    await auth.start();
    await createFirstUser(one.people, 'alice', { logins: [login] });
    webPort = one.ports.web;
    if (link === undefined) {
      node = await fleet.addNode('far1', { place: `proxy_server: 127.0.0.1:${webPort}` });
      await hangingOn(fleet, node, [one]);
    } else {
      network = await createFarNetwork(link);
      ({ here } = network);
      balancer = await turnBalancer([webPort], here);
      webPort = balancer.port;
      await fleet.addNode('far1', { place: `proxy_server: ${here}:${webPort}`, within: network.within });
    }
    front = way === 'a tunnel' ? one : two;
    if (way === 'a peer') await logIn(two.people, 'alice');
    config = await sshConfigFor(front.people, 'alice');
    env = front.people.env('alice');
    dir = join(front.people.dir, 'work');
    mkdirSync(dir);
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    await new Promise<void>((ready) => echo.listen(0, here, ready));
    echoPort = (echo.address() as AddressInfo).port;
  });
  afterAll(async () => {
    echo.close();
    await fleet.close();
    await balancer?.close();
    await network?.close();
  });

  describe(`by way of ${way}${link === undefined ? '' : ', behind NAT, over a long link'}`, () => {
    const limitMs = link === undefined ? 60_000 : 240_000;
    const bulk = link === undefined ? 100 : 1;
    const host = `${login}@far1.example`;
    const sh = (command: string, timeoutMs = limitMs): Promise<Ran> =>
      run('/bin/sh', ['-c', command], { env, cwd: dir, timeoutMs });
    const ok = async (command: string): Promise<string> => {
      const ran = await sh(command);
      expect(ran, command + ran.stderr).toMatchObject({ code: 0 });
      return ran.stdout;
    };
    /** A program that a test ends. */
    const beside = async (
      args: readonly string[],
      act: (child: ChildProcess) => Promise<void>,
    ): Promise<void> => {
      const child = spawn('ssh', ['-F', config, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
      try {
        await act(child);
      } finally {
        child.kill();
      }
    };
    const events = async (type: string): Promise<Record<string, unknown>[]> =>
      (await front.people.tctl('events', 'ls', `--type=${type}`, '--format=json')).stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);

    it('runs commands: both streams, the exit code, a half-closed input, a shell with a terminal', async () => {
      expect(await sh(`ssh -F ${config} ${host} 'echo out; echo err >&2; exit 7'`)).toMatchObject({
        code: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
      expect(await ok(`echo three | ssh -F ${config} ${host} 'cat | wc -c'`)).toBe('6\n');
      expect(await ok(`tsh ssh ${login}@far1 'exit 5' || echo $?`)).toBe('5\n');
      const shell = await run('/usr/bin/expect', ['integration/node/terminal.exp', config, host], { env });
      expect(shell).toMatchObject({ code: 0, stdout: expect.stringContaining('SIZE-OK') as string });
    });

    it('jumps with -J, and reaches what the node reaches with -W, -L and -D', async () => {
      expect(
        await ok(`ssh -F ${config} -J ${login}@localhost:${front.ports.proxySsh} ${host} echo jumped`),
      ).toBe('jumped\n');
      expect(await ok(`echo straight | timeout 20 ssh -F ${config} -W ${here}:${echoPort} ${host}`)).toBe(
        'straight\n',
      );
      const [local = 0, socks = 0] = await freePorts(2);
      const forwards = [
        ...['-N', '-o', 'ExitOnForwardFailure=yes', '-L', `${local}:${here}:${echoPort}`],
        ...['-D', `127.0.0.1:${socks}`, host],
      ];
      await beside(forwards, async () => {
        expect(await until('-L', () => say(local, 'left'))).toBe('left');
        const asked = await ok(
          `curl -ksS --socks5 127.0.0.1:${socks} https://${here}:${webPort}/webapi/ping`,
        );
        expect(asked).toContain('server_version');
      });
    });

    it('shares a connection (ControlMaster), and forwards an agent', async () => {
      const master = join(dir, 'master');
      expect((await sh(`ssh -F ${config} -M -S ${master} -fN ${host} > /dev/null 2>&1`)).code).toBe(0);
      const shared = await Promise.all(
        Array.from({ length: 10 }, (_, i) => ok(`ssh -F ${config} -S ${master} ${host} echo ${i}`)),
      );
      expect(shared).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\n`));
      await sh(`ssh -F ${config} -S ${master} -O exit ${host}`);
      const listed = await ok(
        `ssh-keygen -q -t ed25519 -N '' -C of-the-agent -f key && ssh-agent sh -c 'ssh-add -q key && ssh -A -F ${config} ${host} ssh-add -L'`,
      );
      expect(listed).toContain('of-the-agent');
    });

    it(
      'copies with scp, sftp, rsync and tsh, and each copy is in the audit',
      { timeout: limitMs },
      async () => {
        const data = randomBytes(300_000);
        writeFileSync(join(dir, 'f'), data, { mode: 0o640 });
        const copies = [
          ['scp', (from: string, to: string) => `scp -q -p -F ${config} ${from} ${to}`],
          ['scp-O', (from: string, to: string) => `scp -O -q -p -F ${config} ${from} ${to}`],
          ['tsh', (from: string, to: string) => `tsh scp ${from} ${to}`],
          ['rsync', (from: string, to: string) => `rsync -p -e 'ssh -F ${config}' ${from} ${to}`],
        ] as const;
        for (const [name, copy] of copies) {
          const there = name === 'tsh' ? `${login}@far1` : host;
          await ok(
            `${copy('f', `${there}:${dir}/there-${name}`)} && ${copy(`${there}:${dir}/there-${name}`, `back-${name}`)}`,
          );
          expect(digest(readFileSync(join(dir, `back-${name}`)))).toBe(digest(data));
          if (name !== 'tsh') expect(statSync(join(dir, `back-${name}`)).mode & 0o777).toBe(0o640);
        }
        await ok(
          `printf 'put f ${dir}/there-sftp\\nget ${dir}/there-sftp back-sftp\\n' | sftp -q -F ${config} -b - ${host}`,
        );
        expect(digest(readFileSync(join(dir, 'back-sftp')))).toBe(digest(data));
        for (const name of ['scp-O', 'tsh', 'sftp'])
          for (const action of ['upload', 'download'])
            await until(`the ${action} by ${name} in the audit`, async () =>
              (await events('scp')).find(
                (one) => one['path'] === `${dir}/there-${name}` && one['action'] === action,
              ),
            );
      },
    );

    it.skipIf(others.length === 0)(
      'runs commands and copies with the OpenSSH of other releases',
      { timeout: 180_000 },
      () => expectToGo(others, { config, host, dir: join(dir, 'releases'), env }),
    );

    it(`carries ${bulk} MiB both ways unchanged`, async () => {
      await ok(`head -c ${bulk}M /dev/urandom > large`);
      const sums = await ok(
        `ssh -F ${config} ${host} sha256sum < large; ssh -F ${config} ${host} 'cat ${dir}/large' | sha256sum; sha256sum < large`,
      );
      expect(new Set(sums.trim().split('\n')).size).toBe(1);
    });

    it('tells the node and the audit the true address of the client', async () => {
      const jump = `ssh -F ${config} -b 127.0.0.5 -p ${front.ports.proxySsh} -W %h:%p ${login}@localhost`;
      const heard = await ok(`ssh -F ${config} -o ProxyCommand="${jump}" ${host} 'echo $SSH_CLIENT'`);
      const [ip = '', port = ''] = heard.split(' ');
      expect(ip).toBe('127.0.0.5');
      const start = await until('the session in the audit', async () =>
        (await events('session.start')).find((one) => one['addr.remote'] === `${ip}:${port}`),
      );
      expect(start).toMatchObject({ user: 'alice', login, server_hostname: 'far1' });
      await until('its end in the audit', async () =>
        (await events('session.end')).find((one) => one['sid'] === start['sid']),
      );
    });

    it('ends the session of a user who is locked, and tells them', async () => {
      const child = spawn('ssh', ['-F', config, host, 'echo ready; cat'], { env });
      let said = '';
      child.stdout.on('data', (data: Buffer) => (said += data.toString()));
      child.stderr.on('data', (data: Buffer) => (said += data.toString()));
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await until('the session', () => (said.includes('ready') ? true : undefined));
      const locked = await front.people.tctl('lock', '--user=alice', '--message=out for lunch', '--ttl=1h');
      expect(locked.code).toBe(0);
      await ended;
      expect(said).toContain('out for lunch');
      const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(locked.stdout)?.[0] ?? '';
      expect(await front.people.tctl('unlock', id)).toMatchObject({ code: 0 });
      await until('alice to be let in again', async () =>
        (await sh(`ssh -F ${config} ${host} true`)).code === 0 ? true : undefined,
      );
    });

    it('carries 50 sessions at a time', async () => {
      const config50 = Array.from({ length: 50 }, (_, i) => `ssh -F ${config} ${host} 'echo s${i}' &`);
      const said = await sh(`${config50.join('\n')}\nwait`, 90_000);
      expect(said.stderr).toBe('');
      expect(new Set(said.stdout.trim().split('\n')).size).toBe(50);
    });

    it('lets no session wait for a client that has stopped', async () => {
      const stopped = spawn('ssh', ['-F', config, host, 'cat /dev/zero'], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      try {
        await new Promise((first) => stopped.stdout.once('data', first));
        stopped.stdout.pause();
        if (stopped.pid === undefined) throw new Error('ssh runs');
        process.kill(stopped.pid, 'SIGSTOP');
        await ok(`ssh -F ${config} ${host} 'head -c ${bulk * 200}K /dev/zero' | wc -c`);
        for (let i = 0; i < 3; i++) expect(await ok(`ssh -F ${config} ${host} echo ${i}`)).toBe(`${i}\n`);
      } finally {
        stopped.kill('SIGKILL');
      }
    });

    it('is shown to operators and people', async () => {
      expect((await front.people.tsh('alice', ['ls'])).stdout).toMatch(/^far1 +⟵ Tunnel/m);
      expect((await front.people.tctl('nodes', 'ls')).stdout).toMatch(/^far1 .*Tunnel/m);
    });
  });
}
