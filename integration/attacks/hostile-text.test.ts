import { existsSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostileStrings, replacements, unprintable } from './attack-storm/hostile-strings.ts';
import { samplesOf } from './attack-storm/http-attacks.ts';
import { type Attacked, startAttacked } from './attacked.ts';
import { run } from '../harness/run-program.ts';
import { logIn, sshConfigFor } from '../harness/people.ts';

/**
 * Text that harms, in every field that another machine or person may set: all that then comes out of the
 * cluster is looked at, wherever it comes out. What a field admits is its schema's business; here it only
 * matters that nothing breaks.
 */
const login = userInfo().username;
/** What several of the strings would make, were they ever run. */
const trace = '/tmp/hostile';
let here: Attacked;
beforeAll(async () => {
  rmSync(trace, { force: true });
  here = await startAttacked();
  await logIn(here.cluster, 'alice');
}, 90_000);
afterAll(() => here.cluster.close());

const shown = async (...args: string[]): Promise<string> => {
  const ran = await here.cluster.tctl(...args);
  expect({ args, code: ran.code, stderr: ran.stderr }).toMatchObject({ code: 0 });
  return ran.stdout;
};
/** Lines of text for people: nothing in them moves a cursor, hides, or ends a line early. */
const expectPlain = (where: string, text: string): void => {
  const bad = text.split('\n').find((line) => unprintable.test(line));
  expect({ where, bad: bad === undefined ? undefined : JSON.stringify(bad.slice(0, 300)) }).toEqual({
    where,
    bad: undefined,
  });
};

describe('hostile text from other machines and people', () => {
  it(
    'is taken or refused in every field of every call, and is never an error of ours',
    { timeout: 240_000 },
    async () => {
      const answers = new Map<number, number>();
      for (const [path, sample, as] of samplesOf(here)) {
        // Guesses are slowed down: a few of each kind are as good as all.
        const slowed = !/heartbeat|audit/.test(path);
        const tries = Object.entries(hostileStrings).flatMap(([what, text], n) =>
          [...replacements(sample, text, [])]
            .filter((_, field) => !slowed || (n + field) % 6 === 0)
            .map((r) => ({ ...r, what })),
        );
        for (let n = 0; n < tries.length; n += 8)
          await Promise.all(
            tries.slice(n, n + 8).map(async ({ path: field, value, what }) => {
              const answer = await here.auth(path, {
                ...(as === undefined ? {} : { as }),
                body: JSON.stringify(value),
              });
              answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
              expect({ path, field, what, status: answer.status, ok: answer.status < 500 }).toMatchObject({
                ok: true,
              });
              expect(() => JSON.parse(answer.body) as unknown).not.toThrow();
            }),
          );
      }
      // Both happened: some of it is stored now.
      expect(answers.get(200)).toBeGreaterThan(20);
      expect(answers.get(400)).toBeGreaterThan(20);
    },
  );

  it(
    'is taken or refused as a variable, a command, a subsystem, a login and a path of the web',
    { timeout: 120_000 },
    async () => {
      const config = await sshConfigFor(here.cluster, 'alice');
      for (const [what, text] of Object.entries(hostileStrings)) {
        if (text.includes('\0') || text.length > 60_000) continue; // no argument of a program can be that
        const ssh = (...args: string[]) =>
          run('ssh', ['-F', config, ...args], {
            env: { ...here.cluster.env('alice'), LC_HOSTILE: text, LANG: text },
            timeoutMs: 30_000,
          });
        const host = `${login}@node1.example`;
        const ran = await ssh('-o', 'SendEnv=LC_HOSTILE', '-o', 'SendEnv=LANG', host, 'env -0');
        expect({ what, code: ran.code, stderr: ran.stderr }).toEqual({ what, code: 0, stderr: '' });
        const names = ran.stdout
          .split('\0')
          .filter(Boolean)
          .map((entry) => entry.slice(0, entry.indexOf('=')));
        // The prelude has only what the node sets and what was sent by a name that is allowed.
        for (const name of names)
          expect(name).toMatch(
            /^(?:SSH_[A-Z_]+|TELEPORT_[A-Z_]+|LC_[A-Z]+|LANG|HOME|USER|LOGNAME|SHELL|PATH|MAIL|TERM|_|PWD|SHLVL|OLDPWD|TZ)$/,
          );
        await here.web(`/web/invite/${encodeURIComponent(text.toWellFormed())}`);
        await here.web(`/webapi/ping?x=${encodeURIComponent(text.toWellFormed())}`, {
          headers: { 'user-agent': encodeURI(text.toWellFormed()).slice(0, 4000) },
        });
      }
    },
  );

  it('reaches no terminal, no table, no line of the log', async () => {
    for (const args of [
      ['nodes', 'ls'],
      ['users', 'ls'],
      ['tokens', 'ls'],
      ['status'],
      ['events', 'ls'],
      ['log', 'info'],
    ])
      expectPlain(`tctl ${args.join(' ')}`, await shown(...args));
    for (const args of [['ls'], ['ls', '-v'], ['status'], ['config']])
      expectPlain(`tsh ${args.join(' ')}`, (await here.cluster.tsh('alice', args)).stdout);
    expectPlain('the log of the daemon', here.cluster.output());
  });

  it('is escaped in JSON', async () => {
    for (const args of [
      ['nodes', 'ls'],
      ['users', 'ls'],
      ['events', 'ls'],
    ]) {
      const text = await shown(...args, '--format=json');
      expectPlain(`tctl ${args.join(' ')} --format=json`, text);
      for (const document of args[0] === 'events' ? text.split('\n').filter(Boolean) : [text])
        expect(() => JSON.parse(document) as unknown).not.toThrow();
    }
  });

  it('makes no line of known_hosts but of this cluster', async () => {
    await logIn(here.cluster, 'alice');
    const lines = readFileSync(join(here.cluster.tshHome('alice'), 'known_hosts'), 'utf8')
      .split('\n')
      .filter(Boolean);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(line).toMatch(
        /^@cert-authority [A-Za-z0-9.,:*[\]-]+ ssh-ed25519 [A-Za-z0-9+/=]+(?: [A-Za-z0-9=&.-]+)?$/,
      );
      expect(line).not.toMatch(/^@cert-authority \* /);
    }
  });

  it('has run nothing, anywhere, and harmed nobody', async () => {
    expect(existsSync(trace)).toBe(false);
    await here.unharmed();
  });
});
