import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, processRef, type ProcessRef } from '../../src/base/process-ref.ts';
import { factsLevel } from '../../src/domain/critical.ts';
import future from '../../src/domain/fixtures/future.json' with { type: 'json' };
import { adminRole } from '../../src/domain/preset-roles.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { run, until } from '../harness/run-program.ts';
import { openFutureWriter } from './future-writer.ts';
import { buildCluster, proxyPorts } from '../harness/built-cluster.ts';
import type { Fleet, Machine } from '../harness/machines.ts';
import { laterVersion, twoReleases } from './two-releases.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { command, failuresOf, startLoad, tallyLines } from '../restart/restart-load.ts';

const login = userInfo().username;
let fleet: Fleet;
let diagnostics: readonly number[] = [];
let releases: ReturnType<typeof twoReleases>;
let directory: string;
const running: { machine: Machine; pidFile: string; link: string; child: ChildProcess }[] = [];
/** An auth server and a proxy each, and the node. */
let fronts: readonly { readonly ports: Record<'auth' | 'web' | 'proxySsh' | 'ssh', number> }[] = [];
let people: PeopleCluster;

/** Starts a machine by a link of its own to a release. */
async function start(machine: Machine, diag: number): Promise<void> {
  const link = join(directory, `${machine.name}-current`);
  const pidFile = join(directory, `${machine.name}.pid`);
  symlinkSync(releases.before, link);
  const child = spawn(
    join(link, 'bin/teleport'),
    ['start', `--config=${machine.config}`, `--pid-file=${pidFile}`, `--diag-addr=127.0.0.1:${diag}`],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said += data.toString()));
  running.push({ machine, pidFile, link, child });
  await until(`${machine.name} to be ready`, async () => {
    if (child.exitCode !== null) throw new Error(said);
    const answer = await fetch(`http://127.0.0.1:${diag}/readyz?strict`).catch(() => undefined);
    return answer?.status === 200 ? true : undefined;
  });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rolling-'));
  releases = twoReleases(directory);
  const cluster = await buildCluster(2);
  ({ fleet } = cluster);
  const proxies = [await proxyPorts(), await proxyPorts()] as const;
  const [node = 0, ...diag] = await freePorts(6);
  diagnostics = diag;
  fronts = proxies.map(({ web, ssh: proxySsh }, i) => ({
    ports: { auth: cluster.addresses[i]?.port ?? 0, web, proxySsh, ssh: node },
  }));
  const machines = [
    () => cluster.authServer(1),
    () => cluster.authServer(2),
    () => cluster.joiner('proxy1', { proxy: proxies[0] }),
    () => cluster.joiner('proxy2', { proxy: proxies[1] }),
    () => cluster.joiner('node1', { node: { port: node } }),
  ];
  for (const [i, add] of machines.entries()) await start(await add(), diag[i] ?? 0);
  const [auth, , proxy] = running;
  if (auth === undefined || proxy === undefined) throw new Error('five machines');
  people = fleet.people({ auth: auth.machine, proxy: proxy.machine, web: proxies[0].web });
  await createFirstUser(people, 'joe', { logins: [login] });
}, 120_000);

afterAll(async () => {
  for (const { pidFile, child } of running) {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    if (processRef(pid) !== undefined) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
  }
  await fleet.close();
  rmSync(directory, { recursive: true, force: true });
});

const mainOf = (pidFile: string): ProcessRef | undefined => processRef(Number(readFileSync(pidFile, 'utf8')));

/** What `/readyz` of all five reports. */
const readyTexts = (): Promise<string[]> =>
  Promise.all(diagnostics.map(async (port) => (await fetch(`http://127.0.0.1:${port}/readyz`)).text()));

describe('two auth servers, two proxies and a node', () => {
  it('go on beside a newer release that writes what they cannot read', { timeout: 120_000 }, async () => {
    const role = (deny: object): Fact => ({
      type: 'role.updated',
      data: { role: { ...adminRole, name: 'limited', deny: { logins: [], nodeLabels: {}, ...deny } } },
    });
    const ssh = async (person: string): Promise<boolean> =>
      (await people.tsh(person, ['ssh', `${login}@node1`, 'true'])).code === 0;
    // Who has a certificate is not given another.
    const again = async (person: string): Promise<void> => {
      await people.tsh(person, ['logout']);
      await logIn(people, person);
    };
    const all = (holds: (text: string) => boolean): Promise<true> =>
      until('all five to report it', async () => ((await readyTexts()).every(holds) ? true : undefined));
    const newer = await openFutureWriter(join(fleet.dir, 'store'), join(fleet.dir, 'keyring'));
    try {
      await createFirstUser(people, 'ann', { logins: [login] });
      await newer.write('role-limited', role({}));
      await newer.write('user-ann', { type: 'user.roles_changed', data: { roles: ['admin', 'limited'] } });
      await again('ann');
      expect([await ssh('ann'), await ssh('joe')]).toEqual([true, true]);

      for (const { stream, fact } of future as readonly { stream: string; fact: Fact }[])
        if (!/^(cluster|authority|presence|role-limited)/.test(stream))
          await newer.write(stream as StreamName, fact);
      await newer.write('role-limited', role({ applications: ['*'] }));
      await all((text) => text.includes('role limited (role.updated'));
      expect([await ssh('ann'), await ssh('joe')]).toEqual([false, true]);
      await again('joe');

      await newer.write('role-limited', role({}));
      await all((text) => !text.includes('role limited') && text.includes('role careful'));
      expect([await ssh('ann'), await ssh('joe')]).toEqual([true, true]);
    } finally {
      await newer.close();
    }
    const [auth] = running;
    const { stdout } = await fleet.tctl(auth?.machine ?? expect.unreachable(), 'status');
    expect(stdout.replace(/\s+/g, ' ')).toContain(`Facts level ${factsLevel}, read by all hosts`);
  });
});

describe('two auth servers and two proxies', () => {
  it('go to another release one by one while nobody is refused or cut', { timeout: 180_000 }, async () => {
    const [front, otherFront] = fronts;
    if (front === undefined || otherFront === undefined) throw new Error('two fronts');
    const [auth] = running;
    if (auth === undefined) throw new Error('five machines');
    const env = people.env('joe');
    const loads = [
      startLoad(front, {
        'tsh ssh': command(resolve('bin/tsh'), ['ssh', `${login}@node1`, 'echo', 'hello'], env, 'hello'),
        'tctl status': async () => {
          const ran = await fleet.tctl(auth.machine, 'status');
          if (ran.code !== 0) throw new Error(ran.stderr);
        },
      }),
      startLoad(otherFront, {}),
    ];
    const old: ProcessRef[] = [];
    for (const { link, pidFile } of running.slice(0, 4)) {
      const from = mainOf(pidFile);
      if (from === undefined) throw new Error('no main process');
      old.push(from);
      rmSync(link);
      symlinkSync(releases.after, link);
      process.kill(from.pid, 'SIGHUP');
      await until('the new release to serve', () => {
        const now = mainOf(pidFile);
        return now !== undefined && now.pid !== from.pid ? true : undefined;
      });
    }
    for (const load of loads) await load.stop();
    console.log(`two auth servers and two proxies rolled\n${loads.map(tallyLines).join('\n')}`);
    expect(loads.flatMap(failuresOf)).toEqual([]);
    for (const { ports } of fronts) {
      const answer = await run('curl', ['-sk', `https://localhost:${ports.web}/webapi/ping`]);
      expect(answer.stdout).toContain(`"server_version":"${laterVersion}"`);
    }
    expect((await fleet.tctl(auth.machine, 'status')).stdout).toMatch(/Version\s+4\.5\.1/);
    for (const one of old) await until('the old processes to leave', () => (isAlive(one) ? undefined : true));
  });
});
