import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readText } from '../harness/cluster.ts';
import { type Ran, until } from '../harness/run-program.ts';
import { startDaemon, type Daemon } from '../harness/daemon.ts';
import { createFirstUser, password, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;

/** A shell over SSH that stays open; answers what it is told to print. */
export class OpenSession {
  readonly #child: ChildProcessWithoutNullStreams;
  #heard = '';
  #said = 0;

  constructor(env: NodeJS.ProcessEnv, config: string) {
    this.#child = spawn('ssh', ['-F', config, `${login}@node1.example`, 'sh'], { env });
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

  end(): Promise<void> {
    return new Promise((ended) => {
      this.#child.once('close', () => {
        ended();
      });
      this.#child.stdin.end('exit\n');
    });
  }
}

/** Where a log may be. */
export interface Place {
  readonly name: string;
  /** The `storage:` section, in one line. */
  readonly storage: string;
  /** What messages call it. */
  readonly shown: string;
}

/** A cluster whose log moves while people work on it. */
export class MovingCluster {
  readonly daemon: Daemon;
  readonly session: OpenSession;
  /** Logins that were said yes to. */
  logins = 0;

  static async start(): Promise<MovingCluster> {
    const daemon = await startDaemon();
    await createFirstUser(daemon.cluster, 'joe', { logins: [login] });
    const session = new OpenSession(daemon.cluster.env('joe'), await sshConfigFor(daemon.cluster, 'joe'));
    await session.isUp();
    const cluster = new MovingCluster(daemon, session);
    cluster.logins = await cluster.loginsOnTheLog();
    return cluster;
  }

  private constructor(daemon: Daemon, session: OpenSession) {
    this.daemon = daemon;
    this.session = session;
  }

  tctl(...args: string[]): Promise<Ran> {
    return this.daemon.cluster.tctl(...args);
  }

  file(name: string): string {
    return join(this.daemon.cluster.dir, name);
  }

  directory(name: string): Place {
    const path = this.file(name);
    return { name, storage: `storage: {type: dir, path: ${path}}`, shown: path };
  }

  /** A copy of the configuration as it is now. */
  keepConfiguration(name: string): string {
    writeFileSync(this.file(name), readText(this.daemon.cluster.config));
    return this.file(name);
  }

  /** A directory has to be there before a log moves into it. */
  #make({ storage, shown }: Place): void {
    if (storage.includes('type: dir')) mkdirSync(shown, { mode: 0o700 });
  }

  async reloadAt({ storage }: Place): Promise<void> {
    const { cluster } = this.daemon;
    cluster.configure(
      readText(cluster.config)
        .replace(/^ {2}storage: .*\n/m, '')
        .replace(/^ {2}data_dir: .*$/m, (line) => `${line}\n  ${storage}`),
    );
    await this.daemon.reload();
  }

  /** Joe logs in on another machine, and out again there. @throws with what tsh said when he was refused. */
  async logIn(): Promise<void> {
    const done = await this.#tryLogIn();
    if (done.code !== 0) throw new Error(`joe cannot log in: ${done.stderr}${this.daemon.cluster.output()}`);
  }

  async #tryLogIn(): Promise<Ran> {
    const { cluster } = this.daemon;
    const flags = [`--proxy=localhost:${cluster.ports.web}`, '--user=joe'];
    const done = await cluster.tsh('other', ['login', ...flags], { input: `${password}\n` });
    if (done.code === 0) this.logins++;
    // As `tsh logout` does, without a process of its own.
    rmSync(cluster.tshHome('other'), { recursive: true, force: true });
    return done;
  }

  /** The successful logins that the log tells of. */
  async loginsOnTheLog(): Promise<number> {
    const told = await this.tctl('events', 'ls', '--type=user.login', '--format=json', '--limit=1000');
    return told.stdout
      .trim()
      .split('\n')
      .filter((line) => (JSON.parse(line) as { success: boolean }).success).length;
  }

  /**
   * Copies while people log in. The old place refuses; the new one has all that was said yes to; the session
   * is up.
   */
  async moveTo(place: Place): Promise<void> {
    const target = this.file(`${place.name}.yaml`);
    writeFileSync(target, `${place.storage}\n`);
    this.#make(place);
    const to = ['log', 'move', `--to=${target}`];
    // Nobody is there to be asked: nothing may happen by a slip.
    expect((await this.tctl(...to)).stderr).toContain('nothing was changed: there is no terminal to ask at');
    expect((await this.tctl(...to, '--dry-run')).stdout).toMatch(/^dry run: nothing was changed$/m);
    expect(await this.tctl('users', 'add', `before-${place.name}`)).toMatchObject({ code: 0 });
    const copying = { goesOn: true };
    const people = (async () => {
      while (copying.goesOn) await this.#tryLogIn();
    })();
    const copied = await this.tctl(...to, '--yes');
    copying.goesOn = false;
    process.stdout.write(copied.stdout);
    expect(copied).toMatchObject({ code: 0, stderr: '' });
    expect(copied.stdout).toMatch(/^state {4}slots 1 to \d+, \d+ events, [\d.]+ KB, head [0-9a-f]{64}$/m);
    expect(copied.stdout).toMatch(/^appends were refused for \d+ ms$/m);
    await people;
    const [refused, status, ready] = await Promise.all([
      this.tctl('users', 'add', `late-${place.name}`),
      this.tctl('status'),
      this.daemon.cluster.readyz(),
      this.session.isUp(),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`the log has moved to ${place.shown}: point storage at it and reload`);
    expect(status.stdout).toContain('the log has moved to');
    expect(ready).toMatchObject({ code: 503 });
    await this.reloadAt(place);
    const [added] = await Promise.all([
      this.tctl('users', 'add', `new-${place.name}`),
      this.logIn(),
      this.session.isUp(),
    ]);
    expect(added).toMatchObject({ code: 0, stderr: '' });
    const [told, verified] = await Promise.all([this.loginsOnTheLog(), this.tctl('log', 'verify')]);
    expect(verified.stdout).toContain('ok');
    expect(told).toBeGreaterThanOrEqual(this.logins);
    // A login that was noted while its certificate could no longer be.
    expect(told).toBeLessThanOrEqual(this.logins + 1);
    this.logins = told;
  }
}
