/*
 * Processes that begin again while authorities rotate: reloaded, rolled to another release, and killed, each
 * at the moment when a step is taken.
 */
import { existsSync, type FSWatcher, mkdtempSync, rmSync, symlinkSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProcessRef } from '../../src/base/process-ref.ts';
import { type EchoSession, openEchoSession } from '../cluster/echo-session.ts';
import { login, type RotatingCluster, startRotatingCluster } from '../cluster/rotating-cluster.ts';
import {
  forgedHost,
  forgedUser,
  takeKeys,
  type TakenKey,
  type TakenKeys,
  verdictOfAuth,
  verdictOfSsh,
} from '../cluster/taken-keys.ts';
import { laterVersion, twoReleases } from '../cluster/two-releases.ts';
import { gone } from '../harness/daemon.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { command, failuresOf, type Load, startClients, tallyLines } from './restart-load.ts';

/* `make soak`: more of each. */
const wish = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const sessions = wish('ROTATION_SESSIONS', 4);
const reloadRounds = wish('ROTATION_RELOADS', 1);
const killRounds = wish('ROTATION_KILLS', 1);

const order = ['init', 'update_clients', 'update_servers', 'standby'] as const;
type Phase = (typeof order)[number];
const inRounds = (rounds: number): [number, Phase][] =>
  Array.from({ length: rounds }, (_, n) => order.map((phase): [number, Phase] => [n + 1, phase])).flat();
const phaseLimit = 180_000;

let cluster: RotatingCluster;
let directory: string;
let releases: ReturnType<typeof twoReleases>;
const linkOf = (name: string): string => join(directory, `${name}-current`);
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rotation-'));
  releases = twoReleases(directory);
  for (const name of ['auth1', 'auth2']) symlinkSync(releases.before, linkOf(name));
  const authProgram = (name: string): string => join(linkOf(name), 'bin/teleport');
  cluster = await startRotatingCluster({ nodes: 2, proxies: 1, authProgram });
  await createFirstUser(person(), 'joe', { logins: [login] });
}, 180_000);
afterAll(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
});

const person = (): PeopleCluster => cluster.people[0] ?? expect.unreachable();
const [auth1, auth2, proxy, node] = [
  () => cluster.auths[0] ?? expect.unreachable(),
  () => cluster.auths[1] ?? expect.unreachable(),
  () => cluster.proxies[0] ?? expect.unreachable(),
  () => cluster.nodes[0] ?? expect.unreachable(),
];
/** The step, and that all have followed: two auth servers, a proxy, two nodes. */
const step = async (phase: Phase): Promise<void> => {
  await cluster.rotate(phase, '--wait=0');
  await cluster.onlyLack();
};
/** What a node has for those who call it, beside its newest certificate. */
const showsOlder = (): boolean => existsSync(join(node().dataDir, 'proc', 'node.server.identity.json'));

describe('processes that are reloaded while a step of a rotation is taken', () => {
  const open: EchoSession[] = [];
  const before: ProcessRef[] = [];
  let load: Load;
  beforeAll(async () => {
    for (let n = 0; n < sessions; n++) open.push(openEchoSession(person(), 'joe', `node${1 + (n % 2)}`));
    await Promise.all(open.map((session, n) => session.echo(`begin-${n}`)));
    const env = person().env('joe');
    load = startClients({
      'tsh ssh': command('bin/tsh', ['ssh', `${login}@node1`, 'echo', 'there'], env, 'there'),
      'tsh login': () => logIn(person(), 'joe'),
      'tctl nodes ls': async () => {
        const { code, stderr } = await cluster.tctl('nodes', 'ls');
        if (code !== 0) throw new Error(`tctl nodes ls: ${stderr}`);
      },
      'a machine joins': () => cluster.join(),
    });
  }, phaseLimit);
  afterAll(() => {
    for (const session of open) session.close();
  });

  const done = (): number[] => Object.values(load.tallies).map((tally) => tally.done);
  const reloaded = async (machine: Machine): Promise<void> => {
    before.push((await cluster.reloadable(machine).reload(phaseLimit)).from);
  };

  it.each(inRounds(reloadRounds))(
    'round %i, %s: adopt it, and lose nothing',
    async (round, phase) => {
      if (round === 1 && phase === 'update_clients') {
        rmSync(linkOf('auth2'));
        symlinkSync(releases.after, linkOf('auth2'));
      }
      const began = performance.now();
      await Promise.all([step(phase), ...[auth2(), proxy(), node()].map(reloaded)]);
      console.log(`${phase} with three reloads: ${Math.round(performance.now() - began)} ms`);
      expect(showsOlder()).toBe(phase === 'update_clients');
      await Promise.all(open.map((session, n) => session.echo(`${round}-${phase}-${n}`)));
      const come = done();
      await until(
        `each command twice in ${phase}`,
        () => done().every((count, i) => count >= (come[i] ?? 0) + 2) || undefined,
        phaseLimit,
      );
    },
    phaseLimit,
  );

  it(
    'and all of it counted: no command failed, no session ended',
    async () => {
      await load.stop();
      console.log(`${sessions} sessions\n${tallyLines(load)}`);
      expect(failuresOf(load)).toEqual([]);
      expect(open.map((session) => session.ended())).toEqual(open.map(() => undefined));
      for (const session of open) session.close();
      await Promise.all(before.map((process) => gone(process, 60_000)));
    },
    phaseLimit,
  );

  it('one auth server of another release than the other', async () => {
    const versions = await cluster.tctl('auth', 'rotate', '--status', '--format=json');
    expect(versions.code).toBe(0);
    expect(auth2().allOutput()).toContain(laterVersion);
    expect(auth1().allOutput()).not.toContain(laterVersion);
  });
});

describe('processes that are killed while they adopt a step of a rotation', () => {
  let withdrawn: TakenKeys;
  /** Keys that were new in a rotation that was rolled back: nobody is to accept them ever again. */
  beforeAll(async () => {
    await cluster.rotate('init', '--wait=50s');
    withdrawn = await takeKeys(cluster);
    await cluster.rotate('rollback', '--wait=50s');
    await cluster.rotate('standby', '--wait=50s');
  }, phaseLimit);
  const watchers: FSWatcher[] = [];
  afterAll(() => {
    for (const watcher of watchers) watcher.close();
  });
  const newOf = (keys: readonly TakenKey[]): TakenKey => keys.at(-1) ?? expect.unreachable();

  /** Its first change of what it shows and trusts is its last act. */
  const killedAsItAdopts = async (machine: Machine, seen: Machine): Promise<void> => {
    const adopts = Promise.withResolvers<unknown>();
    const watcher = watch(join(seen.dataDir, 'proc'), adopts.resolve);
    watchers.push(watcher);
    await adopts.promise;
    watcher.close();
    const main = cluster.reloadable(machine).main() ?? expect.unreachable();
    process.kill(main.pid, 'SIGKILL');
    await gone(main);
    await machine.start({ args: cluster.reloadable(machine).args });
  };
  it.each(inRounds(killRounds))(
    'round %i, %s: go on where they were',
    async (round, phase) => {
      const auth = order.indexOf(phase) % 2 === 0 ? auth1() : auth2();
      const kills = [
        killedAsItAdopts(node(), node()),
        killedAsItAdopts(proxy(), proxy()),
        killedAsItAdopts(auth, node()),
      ];
      const began = performance.now();
      await Promise.all([step(phase), ...kills]);
      console.log(`${phase} with three kills: ${Math.round(performance.now() - began)} ms`);
      expect(showsOlder()).toBe(phase === 'update_clients');
      await logIn(person(), 'joe');
      const there = await person().tsh('joe', ['ssh', `${login}@node1`, 'echo', `there-${round}`]);
      expect(there).toMatchObject({ code: 0, stdout: `there-${round}\n` });
      await cluster.join();

      const trusted = (await takeKeys(cluster)).host;
      const [machine, user] = [
        forgedHost(newOf(withdrawn.host), { role: 'Proxy', trusts: trusted }),
        forgedUser(newOf(withdrawn.user)),
      ];
      for (const server of cluster.servers)
        expect(await verdictOfAuth(server, machine)).toContain(
          'was withdrawn when its rotation was rolled back at',
        );
      for (const [name, address] of [
        ['localhost', { host: '127.0.0.1', port: cluster.proxySsh[0] ?? 0 }],
        ['node1', await cluster.nodeAddress('node1')],
      ] as const)
        expect(await verdictOfSsh(address, name, user, trusted)).toContain('unable to authenticate');
    },
    phaseLimit,
  );
});
