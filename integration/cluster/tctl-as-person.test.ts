import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, linkIn, startCluster } from '../harness/cluster.ts';
import { acceptLink, logIn } from '../harness/people.ts';
import { type Ran, run } from '../harness/run-program.ts';

const tctl = resolve('bin/tctl');

const userOf = (name: string, roles: readonly string[]): string =>
  `kind: user\nversion: v2\nmetadata: {name: ${name}}\nspec: {roles: [${roles.join(', ')}], traits: {logins: [${name}]}}\n`;
const people = ['access', 'editor', 'auditor'] as const;
/** With a role that gives logins: nobody logs in who may log in nowhere. */
const rolesOf = (person: string): string[] => [...new Set([person, 'access'])];

/** What is run, and how its refusal names verb and kind: any, where the input has not been read yet. */
const commands = {
  'users ls': { args: ['users', 'ls'], refusal: '"list" on "user"' },
  'get roles': { args: ['get', 'roles'], refusal: '"list" on any kind of resource' },
  'create -f': {
    args: ['create', '-f'],
    input: userOf('temp', ['access']),
    refusal: '"create" on any kind of resource',
  },
  lock: { args: ['lock', '--user=temp', '--ttl=1m'], refusal: '"create" on "lock"' },
  'auth rotate': { args: ['auth', 'rotate', '--dry-run'], refusal: '"rotate" on "cert_authority"' },
  'events ls': { args: ['events', 'ls'], refusal: '"list" on "event"' },
} as const;
type Name = keyof typeof commands;

const allowed: Readonly<Record<(typeof people)[number], readonly Name[]>> = {
  access: [],
  editor: ['users ls', 'get roles', 'create -f', 'lock', 'auth rotate', 'events ls'],
  auditor: ['users ls', 'get roles', 'events ls'],
};

describe('tctl of a person who logged in with tsh', () => {
  let cluster: Cluster;
  const asPerson = (person: string, args: readonly string[], input = ''): Promise<Ran> =>
    run(tctl, args, { env: cluster.env(person), input });
  const must = async (ran: Promise<Ran>): Promise<string> => {
    const { code, stdout, stderr } = await ran;
    expect(`${String(code)} ${stderr}`).toMatch(/^0 /);
    return stdout;
  };

  beforeAll(async () => {
    cluster = await startCluster();
    for (const role of people) {
      await must(run(tctl, ['-c', cluster.config, 'create'], { input: userOf(role, rolesOf(role)) }));
      await acceptLink(cluster, linkIn(await must(cluster.tctl('users', 'reset', role))));
      await logIn(cluster, role);
    }
  }, 300_000);
  afterAll(() => cluster.close());

  it.each(people)(
    'with the role %s does what its rules allow, through the proxy',
    async (person) => {
      for (const [name, { args, refusal, ...given }] of Object.entries(commands)) {
        const ran = await asPerson(person, args, 'input' in given ? given.input : '');
        const what = `${person}: ${name}: `;
        if (allowed[person].includes(name as Name))
          expect(`${what}${String(ran.code)} ${ran.stderr}`).toMatch(/: 0 /);
        else {
          expect(`${what}${String(ran.code)} ${ran.stderr}`).toContain(
            `: 1 error: access denied to perform action ${refusal}`,
          );
          expect(ran.stderr).toContain(
            `: no rule of the roles of ${person} (${rolesOf(person).join(', ')}) allows it\n`,
          );
        }
      }
    },
    180_000,
  );

  it('follows the roles that the user has now, with the same certificate', async () => {
    await must(run(tctl, ['-c', cluster.config, 'create', '-f'], { input: userOf('access', ['auditor']) }));
    expect(await must(asPerson('access', ['users', 'ls']))).toContain('auditor');
    await must(run(tctl, ['-c', cluster.config, 'create', '-f'], { input: userOf('access', ['access']) }));
    expect(await asPerson('access', ['users', 'ls'])).toMatchObject({ code: 1 });
  });

  it('lets an identity that was signed with --no-admin do what its user may', async () => {
    const file = join(cluster.dir, 'auditor.pem');
    const sign = ['auth', 'sign', '--user=auditor', '--no-admin', `--out=${file}`];
    await must(cluster.tctl(...sign));
    const by = (...args: string[]): Promise<Ran> =>
      run(tctl, ['-i', file, `--auth-server=127.0.0.1:${cluster.ports.auth}`, ...args]);
    expect(await must(by('users', 'ls'))).toContain('editor');
    const refused = await by('users', 'unlock', 'editor');
    expect(refused.stderr).toContain('error: access denied to perform action "update" on "user"');
  });

  it('says what it tried, and what to do, without a login and after logout', async () => {
    const nobody = await asPerson('nobody', ['users', 'ls']);
    expect(nobody.stderr).toBe(
      `error: there is no admin identity in /var/lib/teleport/proc, and there is no login of tsh in ${cluster.tshHome('nobody')}: ` +
        "log in with 'tsh login --proxy=<address of the proxy>'\n",
    );
    const elsewhere = await asPerson('editor', ['--proxy=proxy.example.com', 'users', 'ls']);
    expect(elsewhere.stderr).toMatch(
      /nobody logged in to proxy\.example\.com with tsh: .*, or name .*: localhost$/m,
    );
    await must(cluster.tsh('editor', ['logout']));
    const after = await asPerson('editor', ['--proxy=localhost', 'users', 'ls']);
    expect(after).toMatchObject({ code: 1, stderr: expect.stringContaining('tsh login') as string });
  });

  it('is never taken to another cluster than the configuration that was named', async () => {
    const dataDir = join(cluster.dir, 'other');
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o700);
    const yaml = `teleport: {data_dir: ${dataDir}}\n`;
    const named = await asPerson('auditor', [
      `--config-string=${Buffer.from(yaml).toString('base64')}`,
      'users',
      'ls',
    ]);
    expect(named.stderr).toContain('tctl must be either used on the auth server');
    rmSync(dataDir, { recursive: true });
  });
});
