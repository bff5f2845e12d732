import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, processRef, type ProcessRef } from '../../src/base/process-ref.ts';
import { factsLevel } from '../../src/domain/critical.ts';
import future from '../../src/domain/fixtures/future.json' with { type: 'json' };
import { adminRole } from '../../src/domain/role.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { run, until } from '../harness/run-program.ts';
import { openFutureWriter } from './future-writer.ts';
import { laterVersion, twoReleases } from './two-releases.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { command, failuresOf, startLoad, tallyLines } from '../restart/restart-load.ts';

const login = userInfo().username;
const token = 'static-token-for-this-test';
let fleet: Fleet;
let diagnostics: readonly number[] = [];
let releases: ReturnType<typeof twoReleases>;
let directory: string;
const running: { machine: Machine; pidFile: string; link: string; child: ChildProcess }[] = [];
const ports: number[] = [];
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

const authYaml = (machine: Machine, port: number): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  storage: {type: dir, path: ${join(directory, 'store')}, key_file: ${join(directory, 'keyring')}}
auth_service:
  listen_addr: 127.0.0.1:${port}
  cluster_name: example
  tokens: ["proxy,node:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`;
const joiner = (machine: Machine, services: string): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: [${ports
    .slice(0, 2)
    .map((port) => `"127.0.0.1:${port}"`)
    .join(', ')}]
  auth_token: ${token}
auth_service: {enabled: no}
${services}`;
const proxyServices = (web: number, ssh: number): string => `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`;

beforeAll(async () => {
  fleet = createFleet();
  directory = mkdtempSync(join(tmpdir(), 'rolling-'));
  releases = twoReleases(directory);
  ports.push(...(await freePorts(12)));
  diagnostics = ports.slice(7);
  const [auth1 = 0, auth2 = 0, web1 = 0, ssh1 = 0, web2 = 0, ssh2 = 0, node = 0, ...diag] = ports;
  const machines: [string, (machine: Machine) => string][] = [
    ['auth1', (machine) => authYaml(machine, auth1)],
    ['auth2', (machine) => authYaml(machine, auth2)],
    ['proxy1', (machine) => joiner(machine, proxyServices(web1, ssh1))],
    ['proxy2', (machine) => joiner(machine, proxyServices(web2, ssh2))],
    [
      'node1',
      (machine) =>
        joiner(machine, `ssh_service: {listen_addr: "127.0.0.1:${node}"}\nproxy_service: {enabled: no}\n`),
    ],
  ];
  for (const [i, [name, yaml]] of machines.entries()) {
    const machine = await fleet.add(name);
    machine.configure(yaml(machine));
    await start(machine, diag[i] ?? 0);
  }
  const [auth, , proxy] = running;
  if (auth === undefined || proxy === undefined) throw new Error('five machines');
  people = fleet.people({ auth: auth.machine, proxy: proxy.machine, web: web1 });
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
    const newer = await openFutureWriter(join(directory, 'store'), join(directory, 'keyring'));
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
    const portsOf = (auth: number, web: number): Record<'auth' | 'web' | 'proxySsh' | 'ssh', number> => {
      const at = (i: number): number => ports[i] ?? 0;
      return { auth: at(auth), web: at(web), proxySsh: at(web + 1), ssh: at(6) };
    };
    const webs = [portsOf(0, 2), portsOf(1, 4)] as const;
    const [auth] = running;
    if (auth === undefined) throw new Error('five machines');
    const env = people.env('joe');
    const loads = [
      startLoad(
        { ports: webs[0] },
        {
          'tsh ssh': command(resolve('bin/tsh'), ['ssh', `${login}@node1`, 'echo', 'hello'], env, 'hello'),
          'tctl status': async () => {
            const ran = await fleet.tctl(auth.machine, 'status');
            if (ran.code !== 0) throw new Error(ran.stderr);
          },
        },
      ),
      startLoad({ ports: webs[1] }, {}),
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
    for (const { web } of webs) {
      const answer = await run('curl', ['-sk', `https://localhost:${web}/webapi/ping`]);
      expect(answer.stdout).toContain(`"server_version":"${laterVersion}"`);
    }
    expect((await fleet.tctl(auth.machine, 'status')).stdout).toMatch(/Version\s+4\.5\.1/);
    for (const one of old) await until('the old processes to leave', () => (isAlive(one) ? undefined : true));
  });
});
