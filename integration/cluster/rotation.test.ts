import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EveryStore, startEveryStore, type StoreKind } from '../harness/every-store.ts';
import { createFirstUser, logIn, sshConfigFor } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { command, failuresOf, type Load, startClients, tallyLines } from '../restart/restart-load.ts';
import { openEchoSession } from './echo-session.ts';
import { login, type RotatingCluster, startRotatingCluster } from './rotating-cluster.ts';

/* `make soak`: every store, four nodes, 20 sessions, three rotations, a rollback from each phase. */
const stores = (process.env['ROTATION_STORES'] ?? 'directory').split(',') as StoreKind[];
const wish = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const nodes = wish('ROTATION_NODES', 2);
const sessions = wish('ROTATION_SESSIONS', 6);
const rotations = wish('ROTATIONS', 1);
/** From which phases it is rolled back, each followed by the rotation after it. */
const rollbacks = (process.env['ROTATION_ROLLBACKS'] ?? '').split(',').filter((phase) => phase !== '');

let every: EveryStore | undefined;
beforeAll(async () => {
  if (stores.some((kind) => kind !== 'directory')) every = await startEveryStore();
});
afterAll(() => every?.close());

const order = ['init', 'update_clients', 'update_servers', 'standby'] as const;

describe.each(stores)('a cluster on a %s store whose authorities rotate', (kind) => {
  let cluster: RotatingCluster;
  beforeAll(async () => {
    const store = kind === 'directory' ? undefined : every?.emptyLog(kind);
    cluster = await startRotatingCluster({ nodes, ...(store === undefined ? {} : { store }) });
  }, 120_000);
  afterAll(() => cluster.close());

  /** A phase, in which everybody comes by: its operator gives people the time that a grace period is. */
  const phase = async (name: string, load: Load): Promise<void> => {
    await cluster.rotate(name, '--wait=60s');
    const come = load.tallies['tsh login']?.done ?? 0;
    // The first may have begun before.
    await until(
      `two logins in phase ${name}`,
      () => ((load.tallies['tsh login']?.done ?? 0) >= come + 2 ? true : undefined),
      60_000,
    );
  };

  it(
    'loses no command, no session and no transfer through rotations, rollbacks and an automatic one',
    { timeout: 600_000 + rotations * 240_000 },
    async () => {
      const [first, second] = cluster.people;
      if (first === undefined || second === undefined) return expect.unreachable();
      await createFirstUser(first, 'joe', { logins: [login] });
      await logIn(second, 'joe');
      // Both have the name localhost, and so one profile. From here on it is that of the first: a login at
      // the other would be a new one, with a new key, under the programs that use the files of this one.
      await logIn(first, 'joe');
      // Somebody who logs in once and then only works: tsh follows by itself, stock ssh by the file of tsh.
      const config = await sshConfigFor(first, 'joe');
      const open = Array.from({ length: sessions }, (_, n) =>
        openEchoSession(cluster.people[n % 2] ?? first, 'joe', `node${1 + (n % nodes)}`),
      );
      await Promise.all(open.map((session, n) => session.echo(`begin-${n}`)));
      const transfer = startTransfer(first.env('joe'));
      const load = startLoadOf(cluster, config);
      let step = 0;
      const sessionsLive = async (): Promise<void> => {
        step++;
        await Promise.all(open.map((session, n) => session.echo(`step-${step}-${n}`)));
      };
      try {
        for (let round = 0; round < rotations; round++)
          for (const name of order) {
            await phase(name, load);
            await sessionsLive();
          }
        for (const last of rollbacks) {
          for (const name of order.slice(0, order.findIndex((one) => one === last) + 1))
            await phase(name, load);
          await phase('rollback', load);
          await phase('standby', load);
          await sessionsLive();
        }
        if (rollbacks.length > 0) {
          for (const name of order) await phase(name, load);
          await sessionsLive();
        }
        const begun = await cluster.tctl('auth', 'rotate', '--grace-period=45s');
        expect(begun).toMatchObject({ code: 0 });
        await until(
          'the automatic rotation to end',
          async () => {
            const { stdout } = await cluster.tctl('status');
            return /User CA +rotated/.test(stdout) && /Host CA +rotated/.test(stdout) ? true : undefined;
          },
          120_000,
        );
        await sessionsLive();
      } finally {
        await load.stop();
        console.log(tallyLines(load));
      }
      expect(failuresOf(load).slice(0, 5)).toEqual([]);
      for (const [name, { done }] of Object.entries(load.tallies)) expect(done, name).toBeGreaterThan(3);
      expect(open.map((session) => session.ended())).toEqual(open.map(() => undefined));
      transfer.finish();
      expect(await transfer.received).toBe(true);
      for (const session of open) session.close();
    },
  );
});

/** Everything that people, scripts and machines do, each without pause. */
function startLoadOf(cluster: RotatingCluster, config: string): Load {
  const [first, second] = cluster.people;
  if (first === undefined || second === undefined) throw new Error('two proxies');
  return startClients({
    'tsh ssh': command('bin/tsh', ['ssh', `${login}@node1`, 'echo', 'there'], first.env('joe'), 'there'),
    'tsh ls by the other proxy': command('bin/tsh', ['ls'], second.env('joe'), 'node1'),
    'ssh -F': command(
      'ssh',
      ['-F', config, `${login}@node1.example`, 'echo there'],
      first.env('joe'),
      'there',
    ),
    'tsh login': () => logIn(first, 'joe'),
    tctl: async () => {
      const { code, stderr } = await cluster.tctl('nodes', 'ls');
      if (code !== 0) throw new Error(`tctl nodes ls: ${stderr}`);
    },
    'a machine joins': () => cluster.join(),
  });
}

/** A stream of bytes through one session, until it is told to end; true when all of them came, in order. */
function startTransfer(env: NodeJS.ProcessEnv): { finish(): void; readonly received: Promise<boolean> } {
  const child = spawn(join('bin', 'tsh'), ['ssh', `${login}@node1`, 'cat'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => undefined); // what came back is what counts
  let sent = 0;
  let got = 0;
  let isWhole = true;
  const finish = new AbortController();
  child.stdout.on('data', (data: Buffer) => {
    for (const byte of data) isWhole &&= byte === got++ % 251;
  });
  const pump = (): void => {
    while (!finish.signal.aborted) {
      const piece = Buffer.alloc(4096);
      for (let i = 0; i < piece.length; i++) piece[i] = sent++ % 251;
      if (!child.stdin.write(piece)) break;
    }
    if (finish.signal.aborted) child.stdin.end();
    else child.stdin.once('drain', () => setTimeout(pump, 50));
  };
  pump();
  finish.signal.addEventListener('abort', () => child.stdin.end());
  const received = new Promise<boolean>((resolve) => {
    child.once('close', (code) => {
      resolve(code === 0 && isWhole && got === sent && got > 0);
    });
  });
  return {
    finish: () => {
      finish.abort();
    },
    received,
  };
}
