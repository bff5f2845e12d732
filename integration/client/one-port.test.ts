/* Where only the web port of a proxy is reachable: tsh, tctl and stock ssh find a way, and remember it. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, createCluster } from '../harness/cluster.ts';
import { type Front, type FrontMode, startFront, startSilence } from '../harness/fronts.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, logIn, sshConfigFor } from '../harness/people.ts';
import { run } from '../harness/run-program.ts';
import { clientsOfOtherReleases, expectToGo } from '../ssh/other-releases.ts';

const login = userInfo().username;
const others = await clientsOfOtherReleases();
let cluster: Cluster;
let front: Front;
let frontPort: number;
/** Of the announced SSH port, where nothing listens. */
let closedPort: number;

beforeAll(async () => {
  [frontPort = 0, closedPort = 0] = await freePorts(2);
  cluster = await createCluster({
    yaml: (text) =>
      text
        .replace(/^ {2}public_addr: .*$/m, `  public_addr: localhost:${frontPort}`)
        .replace(/ssh_public_addr: .*$/m, `ssh_public_addr: localhost:${closedPort}`),
  });
  front = await startFront(frontPort, cluster.ports.web, cluster.dataDir);
  await cluster.start();
  await createFirstUser(cluster, 'joe', { logins: [login] });
});
afterAll(async () => {
  await front.close();
  await cluster.close();
});

const profilePath = (): string => join(cluster.tshHome('joe'), 'localhost.yaml');
const remembered = (): string | undefined =>
  /^ssh_way: (.*)$/m.exec(readFileSync(profilePath(), 'utf8'))?.[1];
const forget = (): void => {
  writeFileSync(profilePath(), readFileSync(profilePath(), 'utf8').replace(/^ssh_way:.*\n/m, ''));
};

const modes: readonly { readonly mode: FrontMode; readonly way: string }[] = [
  { mode: 'open', way: 'web' },
  { mode: 'tls-only', way: 'web-tls' },
  { mode: 'ends-tls', way: 'web-upgrade' },
];

describe.each(modes)('a web port that is $mode', ({ mode, way }) => {
  let options: readonly string[];
  beforeAll(async () => {
    front.mode = mode;
    rmSync(cluster.tshHome('joe'), { recursive: true, force: true });
    await logIn(cluster, 'joe');
    options = ['-F', await sshConfigFor(cluster, 'joe'), '-o', 'BatchMode=yes'];
  });
  beforeEach(() => {
    front.mode = mode;
  });

  it('is found at the login, and remembered', () => {
    expect(remembered()).toBe(way);
  });
  it('carries sessions, listings and copies', async () => {
    const ran = await cluster.tsh('joe', ['ssh', `${login}@node1`, 'cat; exit 3'], { input: 'to and fro' });
    expect(ran).toMatchObject({ code: 3, stdout: 'to and fro' });
    expect((await cluster.tsh('joe', ['ls'])).stdout).toContain('node1');
    const [from, to] = [join(cluster.dir, 'sent'), join(cluster.dir, `got-${way}`)];
    writeFileSync(from, Buffer.alloc(3_000_000, way));
    const copied = await cluster.tsh('joe', ['scp', from, `${login}@node1:${to}`]);
    expect(copied.code).toBe(0);
    expect(readFileSync(to).equals(readFileSync(from))).toBe(true);
  });
  it('carries tctl, of whoever logged in', async () => {
    const asked = await run('tctl', ['--proxy=localhost', 'status'], { env: cluster.env('joe') });
    // Joe may not ask, which an auth server said.
    expect(asked.stdout + asked.stderr).toMatch(/Cluster|access denied|may not/i);
    expect(asked.stderr).not.toContain('cannot reach');
  });
  it('carries stock ssh, scp, sftp and rsync', async () => {
    const env = cluster.env('joe');
    const host = `${login}@node1.example`;
    const ran = await run('ssh', [...options, host, 'cat; exit 7'], {
      env,
      input: Buffer.alloc(2_000_000, 7),
    });
    expect({ code: ran.code, length: ran.stdout.length }).toEqual({ code: 7, length: 2_000_000 });
    const file = join(cluster.dir, 'sent');
    for (const [name, args] of [
      ['scp', [...options, file, `${host}:${join(cluster.dir, 'by-scp')}`]],
      ['sftp', [...options, '-b', '-', host]],
      ['rsync', ['-e', ['ssh', ...options].join(' '), file, `${host}:${join(cluster.dir, 'by-rsync')}`]],
    ] as const) {
      const input = name === 'sftp' ? `put ${file} ${join(cluster.dir, 'by-sftp')}\n` : '';
      expect(await run(name, args, { env, input }), name).toMatchObject({ code: 0 });
      expect(readFileSync(join(cluster.dir, `by-${name}`)).equals(readFileSync(file)), name).toBe(true);
    }
  });
  it.skipIf(others.length === 0 || mode !== 'ends-tls')(
    'carries stock ssh, scp, sftp and rsync of other releases',
    { timeout: 180_000 },
    () =>
      expectToGo(others, {
        ...{ config: options[1] ?? '', host: `${login}@node1.example` },
        ...{ dir: join(cluster.dir, `releases-${way}`), env: cluster.env('joe') },
      }),
  );
  it('carries the sessions of one stock ssh that others share', async () => {
    const env = cluster.env('joe');
    const path = join(cluster.dir, 'c');
    const shared = [...options, '-o', `ControlPath=${path}`];
    // It stays, with the standard output and error that it got.
    const script = 'exec ssh "$@" > /dev/null 2>&1';
    const master = await run('sh', ['-c', script, 'sh', ...shared, '-MNf', `${login}@node1.example`], {
      env,
    });
    expect(master).toMatchObject({ code: 0 });
    expect(await run('ssh', [...shared, `${login}@node1.example`, 'echo shared'], { env })).toMatchObject({
      code: 0,
      stdout: 'shared\n',
    });
    expect((await run('ssh', [...shared, '-O', 'exit', `${login}@node1.example`], { env })).code).toBe(0);
  });
});

describe('finding a way', () => {
  it('tries the others when the one that is remembered fails, and remembers what works now', async () => {
    front.mode = 'open';
    await logIn(cluster, 'joe');
    forget();
    expect((await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true'])).code).toBe(0);
    expect(remembered()).toBe('web');
    front.mode = 'ends-tls';
    expect((await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true'])).code).toBe(0);
    expect(remembered()).toBe('web-upgrade');
  });
  it('goes nowhere else while that one works', async () => {
    front.came.length = 0;
    expect((await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true'])).code).toBe(0);
    // The web call beside it at most.
    expect(front.came.filter((first) => !first.startsWith('\x16'))).toEqual([]);
  });
  it('does not wait for a port that swallows everything', async () => {
    front.mode = 'open';
    forget();
    const silence = await startSilence(closedPort);
    const time = async (): Promise<number> => {
      const begin = performance.now();
      expect((await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true'])).code).toBe(0);
      return performance.now() - begin;
    };
    try {
      const first = await time();
      expect(remembered()).toBe('web');
      const later = await time();
      expect(first - later).toBeLessThan(3_000);
    } finally {
      await silence.close();
    }
  });
  it('tells each way that failed, and why', async () => {
    const port = frontPort;
    await front.close();
    const ran = await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true']);
    front = await startFront(port, cluster.ports.web, cluster.dataDir);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(new RegExp(`cannot reach the proxy's SSH at localhost:${closedPort}: `));
    for (const part of [
      `SSH at localhost:${port}: `,
      `localhost:${closedPort}: `,
      `TLS at localhost:${port}: `,
      `https://localhost:${port}/v1/webapi/connect: `,
    ])
      expect(ran.stderr).toContain(part);
  });
});

describe('tsh proxy ssh', () => {
  it('says on standard error alone what is wrong', async () => {
    const ran = await cluster.tsh('joe', ['proxy', 'ssh', `${login}@nowhere.example:22`]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^error: failed connecting to node nowhere/);
  });
  it('ends when nobody sends any more', async () => {
    const ran = await cluster.tsh('joe', ['proxy', 'ssh', 'node1:3022'], { input: 'SSH-2.0-x\r\n' });
    expect(ran.stdout).toMatch(/^SSH-2\.0-/);
  });
});
