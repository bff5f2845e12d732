import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { userStream } from '../../src/domain/streams.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Cause } from '../../src/log/event.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import { until } from '../harness/run-program.ts';
import { type Daemon, endDaemons, gone, startDaemon } from '../harness/daemon.ts';
import { createFirstUser, password } from '../harness/people.ts';

const login = userInfo().username;
const cause = (): Cause => ({ at: realWorld.now(), actor: 'auth:newer', requestId: 'r1' });
let daemon: Daemon;
/** The log of the daemon, as an auth server of another version beside it has it open. */
let log: ClusterLog;

beforeAll(async () => {
  daemon = await startDaemon();
  log = await openLog({
    driver: await openDirectoryDriver({ path: join(daemon.cluster.dataDir, 'backend') }),
    keyring: await openKeyring(join(daemon.cluster.dataDir, 'keyring')),
    world: realWorld,
    writer: 'newer',
    sink: silentLog,
  });
  await createFirstUser(daemon.cluster, 'joe', { logins: [login] });
});
afterAll(async () => {
  await log.close();
  await endDaemons();
});

describe('a process that meets an event of a type it does not know', () => {
  it('refuses to decide on what it does not understand, and goes on serving', async () => {
    const { cluster } = daemon;
    const session = spawn(resolve('bin/tsh'), ['ssh', '-t', `${login}@node1`, 'echo here; cat'], {
      env: cluster.env('joe'),
    });
    let said = '';
    session.stdout.on('data', (data: Buffer) => (said += data.toString()));
    const hears = (text: string): Promise<true> =>
      until(`the session to say ${text}`, () => (said.includes(text) ? true : undefined));
    await hears('here');
    const stream = userStream('joe');
    const at = await log.state.append(
      [
        {
          stream,
          expected: await log.state.revision(stream),
          facts: [{ type: 'user.nicknamed', data: { nickname: 'jo' } }],
        },
      ],
      cause(),
    );
    expect(await log.state.head()).toBe(at);

    // What is written on that stream would be decided without knowing what came before.
    const why = /user-joe holds a fact this version does not know: user\.nicknamed/;
    const changed = await cluster.tctl('users', 'reset', 'joe');
    expect(changed).toMatchObject({ code: 1, stdout: '' });
    expect(changed.stderr).toMatch(why);
    const removed = await cluster.tctl('users', 'rm', 'joe');
    expect(removed.code).toBe(1);
    expect(removed.stderr).toMatch(why);
    const loggedIn = await cluster.tsh(
      'joe-anew',
      ['login', `--proxy=localhost:${cluster.ports.web}`, '--user=joe'],
      { input: `${password}\n` },
    );
    expect(loggedIn.code).toBe(1);
    const request = /the cluster cannot answer now, try again in a moment \(request (\S+)\)/.exec(
      loggedIn.stderr,
    )?.[1];
    expect(request).toBeDefined();
    expect(cluster.output()).toMatch(new RegExp(`WARN .*${request ?? ''}.*${why.source}`));
    expect(await log.state.head()).toBe(at);

    session.stdin.write('still here\n');
    await hears('still here');
    const ran = await cluster.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'by certificate']);
    expect(ran.stdout).toBe('by certificate\n');
    expect((await cluster.tctl('users', 'ls')).stdout).toMatch(/^joe\s/m);
    expect((await cluster.tctl('users', 'add', 'bob', 'root')).code).toBe(0);
    expect((await cluster.readyz())?.code).toBe(200);
    const verified = await cluster.tctl('log', 'verify');
    expect(`${verified.stdout}${verified.stderr}`).toMatch(/ok\n$/);
    session.stdin.end('\x04');
  });
});

describe('a reload while a snapshot of a long log is written', () => {
  it('keeps the snapshot and every event', { timeout: 60_000 }, async () => {
    const { cluster } = daemon;
    // As this release makes users: of others it records that their logins lie elsewhere.
    const recordedApart = { attempts: 'apart', era: { cleared: 0, forgotten: 0 } };
    const names = Array.from({ length: 10_000 }, (_, n) => `many${n}`);
    for (let n = 0; n < names.length; n += 250)
      await log.state.append(
        names.slice(n, n + 250).map((username) => ({
          stream: userStream(username),
          expected: 0,
          facts: [
            { type: 'user.created', data: { username, roles: ['admin'], traits: {}, before: recordedApart } },
          ],
        })),
        cause(),
      );
    const store = new DatabaseSync(join(cluster.dataDir, 'backend', 'log.db'), { timeout: 5_000 });
    const written = (): string[] =>
      store
        .prepare(`SELECT key FROM snapshots WHERE key LIKE 'state/%'`)
        .all()
        .map(({ key }) => String(key));
    // The first of its parts is there and the last is not: nobody writes on before the reload has begun.
    while (written().length === 0) await new Promise((resolve) => setImmediate(resolve));
    store.exec('BEGIN IMMEDIATE');
    const begun = written();
    expect(begun.filter((key) => key.endsWith('/manifest'))).toEqual([]);
    const before = daemon.main();
    process.kill(before.pid, 'SIGHUP');
    await until('a new process to start', () => daemon.generations().find((one) => one.pid !== before.pid));
    store.exec('ROLLBACK');
    await until('the new process to be the main one', () =>
      daemon.main().pid === before.pid ? undefined : true,
    );
    await gone(before);
    const parts = written();
    expect(parts.filter((key) => key.endsWith('/manifest'))).toHaveLength(1);
    expect(parts.length).toBeGreaterThan(begun.length);
    store.close();
    expect(cluster.output()).not.toContain('a snapshot of the log failed');
    expect((await cluster.readyz())?.code).toBe(200);
    const listed = await cluster.tctl('users', 'ls', '--format=json');
    const known = new Set(
      (JSON.parse(listed.stdout) as { username: string }[]).map(({ username }) => username),
    );
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    const verified = await cluster.tctl('log', 'verify');
    expect(`${verified.stdout}${verified.stderr}`).toMatch(/ok\n$/);
  });
});
