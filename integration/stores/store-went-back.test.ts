/* An operator whose store goes back: what is seen, what is refused, and the way out, by the real programs. */
import { rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AuthPair, authPair } from '../harness/auth-pair.ts';
import { type Cluster, createCluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { type EtcdCluster, etcdctl, startEtcd } from '../harness/etcd-server.ts';
import { createFirstUser, logIn, password } from '../harness/people.ts';

let etcd: EtcdCluster;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  etcd = await startEtcd();
}, 60_000);
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => etcd.close());

const login = userInfo().username;

/** Keeps what etcd holds. Answers how to put it back there. */
async function saveEtcd(dir: string): Promise<() => Promise<void>> {
  const snapshot = join(dir, 'snapshot.db');
  await etcdctl(etcd, `snapshot save ${snapshot}`);
  return async () => {
    await etcd.members[0]?.restore(snapshot);
  };
}

const onEtcd = (prefix: string): string =>
  `type: etcd, peers: [${etcd.urls.join(', ')}], prefix: /${prefix}/`;

async function must(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran;
  if (code !== 0) throw new Error(`it exited ${String(code)}: ${stdout}${stderr}`);
  return stdout;
}

const containing = (text: string): string => expect.stringContaining(text) as string;
const linesWith = (output: string, text: string): string[] =>
  output.split('\n').filter((line) => line.includes(text));

const readyzSays = (cluster: Cluster, code: number): Promise<string> =>
  until(`readyz to answer ${code}`, async () => {
    const ready = await cluster.readyz();
    return ready?.code === code ? ready.body : undefined;
  });

async function metric(cluster: Cluster, name: string): Promise<string[]> {
  const page = await (await fetch(`http://127.0.0.1:${cluster.ports.diag}/metrics`)).text();
  return page.split('\n').filter((line) => line.startsWith(name));
}

/** With modes and owners. */
const copyTree = (from: string, to: string): Promise<string> => must(run('cp', ['-a', from, to]));

/** With a home of its own, that holds no certificate yet. */
const logInAnew = (cluster: Cluster, home: string): Promise<Ran> =>
  cluster.tsh(home, ['login', `--proxy=localhost:${cluster.ports.web}`, '--user=joe'], {
    input: `${password}\n`,
  });

describe('an etcd that is put back under a running auth server', () => {
  let cluster: Cluster;

  it('is told everywhere, decides nothing, and gets back what is known', { timeout: 180_000 }, async () => {
    cluster = await startCluster({
      yaml: (text) => text.replace('auth_service:', `  storage: {${onEtcd('given-back')}}\nauth_service:`),
    });
    closers.push(() => cluster.close());
    const tctl = (line: string): Promise<Ran> => cluster.tctl(...line.split(' '));
    await createFirstUser(cluster, 'joe', { logins: [login] });
    await must(tctl('users add bob'));
    const putBack = await saveEtcd(cluster.dir);
    await must(tctl('users add eve'));
    await must(tctl('users rm bob'));
    await putBack();

    const refused = { code: 1, stderr: containing('the store went back: its state log was read up to slot') };
    expect(await tctl('users add frank')).toMatchObject(refused);
    expect(await tctl('users ls')).toMatchObject(refused);
    expect(await readyzSays(cluster, 503)).toContain('auth: the store went back');
    expect(await must(tctl('status'))).toMatch(/^Trouble +the store went back: its state log was read up/m);
    expect(await must(tctl('log info'))).toMatch(
      /^Source +auth server[^]*^Went back +state: the store went/m,
    );
    expect(await metric(cluster, 'log_went_back{')).toContain('log_went_back{partition="state"} 1');
    expect(await logInAnew(cluster, 'anew')).not.toMatchObject({ code: 0 });
    const shown = await must(tctl('log recover'));
    for (const line of [
      /^state: THE STORE WENT BACK/m,
      /user.created +user-eve$/m,
      /user.deleted +user-bob$/m,
    ])
      expect(shown).toMatch(line);

    const output = cluster.output();
    // One for each partition that has lost something, signed heads among it.
    expect(linesWith(output, 'the store went back to an earlier state').length).toBeLessThanOrEqual(4);
    expect(linesWith(output, 'partition="state" slot=')).toHaveLength(1);

    expect(await must(tctl('log recover --give-back'))).toMatch(/^state: given back: \d+ events$/m);
    const users = await must(tctl('users ls'));
    expect(users).toMatch(/^eve /m);
    expect(users).not.toMatch(/^bob /m);
    await must(tctl('users add gina'));
    expect(await must(tctl('log verify'))).toMatch(/^ok$/m);
    expect(await must(tctl('log tail --stream=recovery-state'))).toContain('log.recovered');
    expect(await metric(cluster, 'log_went_back{')).toContain('log_went_back{partition="state"} 0');
    await readyzSays(cluster, 200);
    await logIn(cluster, 'joe');
    expect(await logInAnew(cluster, 'anew')).toMatchObject({ code: 0 });
    expect(cluster.output()).not.toMatch(/^\s+at /m);
  });
});

describe('two auth servers on an etcd that is put back, of which one noticed and the other has gone on', () => {
  let pair: AuthPair;

  /** `a` has added eve and deleted bob, which the store has lost; `b` slept, and has added gus since. */
  async function oneNoticed(prefix: string): Promise<void> {
    pair = await authPair(onEtcd(prefix));
    closers.push(() => pair.close());
    await pair.a.start();
    await pair.b.start();
    await pair.a.must('users', 'add', 'bob');
    expect(await pair.b.must('users', 'ls')).toContain('bob');
    pair.b.signal('SIGSTOP');
    const putBack = await saveEtcd(pair.dir);
    await pair.a.must('users', 'add', 'eve');
    await pair.a.must('users', 'rm', 'bob');
    await putBack();
    pair.b.signal('SIGCONT');
    await until('b to write', async () => (await pair.b.tctl('users', 'add', 'gus')).code === 0 || undefined);
    // Until it has found the store again it refuses for another reason.
    await until('a to notice', async () => {
      const { code, stderr } = await pair.a.tctl('users', 'ls');
      expect(code).toBe(1);
      return stderr.includes('the store went back') || undefined;
    });
  }

  async function agreeOn(names: readonly string[]): Promise<void> {
    await pair.a.must('users', 'add', 'ann');
    await pair.b.must('users', 'add', 'ben');
    for (const one of [pair.a, pair.b]) {
      const listed = await one.must('users', 'ls');
      expect(
        ['ann', 'ben', 'bob', 'eve', 'gus'].filter((name) => new RegExp(`^${name} `, 'm').test(listed)),
      ).toEqual(['ann', 'ben', ...names]);
      expect(await one.must('status')).not.toContain('Trouble');
    }
    expect(await pair.a.must('log', 'verify')).toMatch(/^ok$/m);
  }

  /**
   * As an operator does: where the store was too slow for an answer, it is run again. What it did is printed
   * by the one that did it, which may be the one whose answer was lost: what came of it is asked of both.
   */
  const recover = async (how: string, prints: RegExp): Promise<void> => {
    const first = await pair.a.tctl('log', 'recover', how);
    if (first.code === 0) expect(first.stdout).toMatch(prints);
    else
      await until(
        `tctl log recover ${how}, after ${first.stderr}`,
        async () => (await pair.a.tctl('log', 'recover', how)).code === 0 || undefined,
      );
  };

  it('agree again when the one goes on from what the store has', { timeout: 120_000 }, async () => {
    await oneNoticed('went-on');
    await recover('--go-on', /^state: goes on[^]*user.created +user-eve$/m);
    await agreeOn(['bob', 'gus']);
  });

  it('agree again when the one gives back what it knows', { timeout: 120_000 }, async () => {
    await oneNoticed('both');
    await recover('--give-back', /^state: given back: \d+ events$/m);
    await agreeOn(['eve', 'gus']);
  });
});

describe('a directory that is restored from a backup while its auth server is stopped', () => {
  it('is refused at the start, until the operator goes on from it', { timeout: 120_000 }, async () => {
    const cluster = await createCluster({
      yaml: (text) =>
        text.replace(/ssh_service:[^]*/, 'ssh_service: {enabled: no}\nproxy_service: {enabled: no}\n'),
    });
    closers.push(() => cluster.close());
    const tctl = (line: string): Promise<Ran> => cluster.tctl(...line.split(' '));
    const [store, backup] = [join(cluster.dataDir, 'backend'), join(cluster.dir, 'backup')];
    await cluster.start();
    await must(tctl('users add bob'));
    await cluster.stop();
    await copyTree(store, backup);
    await cluster.start();
    await must(tctl('users add eve'));
    await cluster.stop();
    rmSync(store, { recursive: true });
    await copyTree(backup, store);

    const { code, stdout, stderr } = await run('bin/teleport', ['start', '--config', cluster.config]);
    expect(code).toBe(1);
    expect(stderr.match(/^error: .*$/gm)).toEqual([
      expect.stringMatching(
        /the store went back: its state log was read up to slot \d+, .*tctl log recover --offline$/,
      ),
    ]);
    expect(stdout + stderr).not.toMatch(/^\s+at /m);

    const shown = await must(tctl('log recover --offline'));
    expect(shown).toMatch(/^state: THE STORE WENT BACK/m);
    expect(shown).toContain('tctl log recover --offline --go-on');
    expect(await tctl('log recover --offline --give-back')).toMatchObject({ code: 1 });
    expect(await must(tctl('log recover --offline --go-on'))).toMatch(
      /^state: goes on from what the store has$/m,
    );
    expect(await must(tctl('log recover --offline'))).not.toContain('WENT BACK');
    await cluster.start();
    const users = await must(tctl('users ls'));
    expect(users).toMatch(/^bob /m);
    expect(users).not.toMatch(/^eve /m);
    await must(tctl('users add eve'));
    expect(await must(tctl('log verify'))).toMatch(/^ok$/m);
  });
});
