import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readText, run, startCluster, until, type Cluster, type Ran } from './cluster.ts';
import { createFirstUser, password, sshConfigFor } from './people.ts';

const login = userInfo().username;

/** A shell over SSH that stays open; answers what it is told to print. */
class OpenSession {
  readonly #child: ChildProcessWithoutNullStreams;
  #heard = '';
  #said = 0;

  constructor(cluster: Cluster, config: string) {
    this.#child = spawn('ssh', ['-F', config, `${login}@node1.example`, 'sh'], { env: cluster.env('joe') });
    this.#child.stdout.on('data', (data: Buffer) => (this.#heard += data.toString()));
  }

  /** Resolves when the far end has answered. */
  async isUp(): Promise<true> {
    const word = `word-${++this.#said}`;
    this.#child.stdin.write(`echo ${word}\n`);
    return until(`the session to answer ${word}`, () =>
      this.#heard.includes(`${word}\n`) ? true : undefined,
    );
  }

  close(): void {
    this.#child.kill();
  }
}

/** Joe logs in on another machine, and out again there. False when he was refused. */
async function logInElsewhere(cluster: Cluster): Promise<boolean> {
  const flags = [`--proxy=localhost:${cluster.ports.web}`, '--user=joe'];
  const done = await cluster.tsh('other', ['login', ...flags], { input: `${password}\n` });
  await cluster.tsh('other', ['logout']);
  return done.code === 0;
}

describe('moving the log of a cluster that is in use', () => {
  let cluster: Cluster;
  let session: OpenSession;
  let logins = 0;
  let asked = 0;
  let moved = false;
  let people: Promise<void>;
  const elsewhere = (): string => join(cluster.dir, 'elsewhere');

  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    session = new OpenSession(cluster, await sshConfigFor(cluster, 'joe'));
    await session.isUp();
    people = (async () => {
      while (!moved) {
        asked++;
        if (await logInElsewhere(cluster)) logins++;
      }
    })();
  });
  afterAll(async () => {
    moved = true;
    await people;
    session.close();
    await cluster.close();
  });

  it('copies while people log in, and says what it copied', async () => {
    await until('the first logins', () => (logins >= 2 ? true : undefined));
    const copied = await cluster.tctl('log', 'copy', `--to=dir:${elsewhere()}`);
    expect(copied.stderr).toBe('');
    expect(copied.code).toBe(0);
    expect(copied.stdout).toMatch(/^state {4}slots 1 to \d+, \d+ events, [\d.]+ KB, head [0-9a-f]{64}$/m);
    expect(copied.stdout).toMatch(/^\d+ data keys$/m);
    expect(copied.stdout).toMatch(/ events\/s\)$/m);
    expect(copied.stdout).toMatch(/^appends were refused for \d+ ms$/m);
    process.stdout.write(copied.stdout);
  });

  it('refuses what is new at the old place, by name, and goes on serving', async () => {
    moved = true;
    await people;
    const added = await cluster.tctl('users', 'add', 'ann');
    expect(added.code).toBe(1);
    expect(added.stderr).toContain(`the log has moved to ${elsewhere()}: point storage at it and reload`);
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('joe');
    expect((await cluster.tctl('nodes', 'ls')).stdout).toContain('node1');
    expect((await cluster.tctl('status')).stdout).toContain('the log has moved to');
    const ready = await cluster.readyz();
    expect(ready?.code).toBe(503);
    expect(ready?.body).toContain('the log has moved to');
    await session.isUp();
  });

  it('goes on at the new place with everything that was acknowledged', async () => {
    await cluster.stop();
    cluster.configure(
      readText(cluster.config).replace(
        /^ {2}data_dir: .*$/m,
        (line) => `${line}\n  storage: {path: ${elsewhere()}}`,
      ),
    );
    await cluster.start();
    expect((await cluster.tctl('users', 'add', 'ann')).code).toBe(0);
    expect(await logInElsewhere(cluster)).toBe(true);
    expect(await cluster.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'here'])).toMatchObject({
      stdout: 'here\n',
      code: 0,
    });
    const told = await cluster.tctl('events', 'ls', '--type=user.login', '--format=json', '--limit=1000');
    const succeeded = told.stdout
      .trim()
      .split('\n')
      .filter((line) => (JSON.parse(line) as { success: boolean }).success);
    // Those whose answer was lost may have been noted as well.
    expect(succeeded.length).toBeGreaterThanOrEqual(logins + 2);
    expect(succeeded.length).toBeLessThanOrEqual(asked + 2);
    expect((await cluster.tctl('log', 'verify')).stdout).toContain('ok');
  });

  it('says so when it is asked again, and takes no store that is in use', async () => {
    const old = join(cluster.dir, 'old.yaml');
    writeFileSync(old, readText(cluster.config).replace(/^ {2}storage: .*\n/m, ''));
    const copy = (to: string, ...flags: string[]): Promise<Ran> =>
      run('bin/tctl', ['log', 'copy', `--to=dir:${to}`, `--config=${old}`, ...flags]);
    expect((await copy(elsewhere())).stdout).toContain('this log was copied there before');
    expect(await copy(elsewhere(), '--abort')).toMatchObject({
      code: 1,
      stderr: 'error: the copy has ended and the log goes on there: it stays so\n',
    });
    const third = await copy(join(cluster.dir, 'third'));
    expect(third.stderr).toContain(`is fenced for another copy: the log has moved to ${elsewhere()}`);
    expect((await cluster.tctl('log', 'copy', `--to=dir:${elsewhere()}`)).stderr).toBe(
      `error: ${elsewhere()} holds a log already: name an empty store\n`,
    );
    expect((await cluster.tctl('users', 'add', 'eve')).code).toBe(0);
  });
});
