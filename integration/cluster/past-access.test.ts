import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { documentOfRole } from '../../src/domain/resources/role.ts';
import { roleSpec } from '../../src/domain/role-spec.ts';
import { type Cluster, linkIn, startCluster } from '../harness/cluster.ts';
import { acceptLink, logIn } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

const login = userInfo().username;
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ secondFactor: 'off' });
}, 120_000);
afterAll(() => cluster.close());

const must = async (ran: Promise<Ran>): Promise<string> => {
  const { code, stdout, stderr } = await ran;
  expect(`${String(code)} ${stderr}`).toMatch(/^0 /);
  return stdout;
};
const tctl = (...args: string[]): Promise<string> => must(cluster.tctl(...args));
const roleText = (logins: string[]): string =>
  JSON.stringify(
    documentOfRole(
      roleSpec.parse({
        name: 'dev',
        options: {},
        allow: { logins, nodeLabels: { '*': ['*'] } },
        deny: {},
      }),
    ),
  );
const write = (logins: string[]): Promise<string> =>
  must(run(resolve('bin/tctl'), ['-c', cluster.config, 'create', '-f'], { input: roleText(logins) }));

it('a login that somebody had and lost is found with what gave and took it, and its sessions are replayed', async () => {
  await write([login]);
  await acceptLink(cluster, linkIn(await tctl('users', 'add', 'ann', '--roles=dev')));
  await logIn(cluster, 'ann');
  await must(cluster.tsh('ann', ['ssh', `${login}@node1`, 'true']));
  const between = new Date().toISOString();
  expect(await tctl('access', 'blame', 'ann', `${login}@node1`)).toMatch(
    new RegExp(
      `^ann as ${login} on node1: yes\n  role "dev" allows it: .*\n(    .*\n){3}  Given last: .* user\\.created user/ann by `,
    ),
  );
  await write(['somebody']);
  const other = join(cluster.dir, 'dev.yaml');
  writeFileSync(other, roleText(['somebody']));

  expect(await tctl('access', 'explain', `--at=${between}`, 'ann', `${login}@node1`)).toMatch(/: yes\n/);
  expect(await tctl('access', 'ls', `--at=${between}`, '--user=ann')).toContain('node1');
  expect(await tctl('access', 'diff', between, '--user=ann')).toMatch(
    new RegExp(
      `^ann on node1 \\(.*\\)\n  gained somebody\n  lost ${login}\n    .* role\\.updated role/dev by .*, request .*, event \\d+\n$`,
    ),
  );
  expect(await tctl('access', 'blame', 'ann', `${login}@node1`)).toMatch(
    /: no\n(?:  .*\n)+  Taken away last: .* role\.updated role\/dev by /,
  );
  const replayed = await until('the session in the audit', async () => {
    const text = await tctl('access', 'replay', `--roles=${other}`, '--from=1h');
    return text.includes('1 of 1 sessions would be refused') ? text : undefined;
  });
  expect(replayed).toMatch(new RegExp(`refused +ann +${login} +node1 +no role allows the login`));
  expect((await cluster.tctl('access', 'diff', 'yesterday')).stderr).toMatch(
    /^error: the first time: expected a time/,
  );
  expect((await cluster.tctl('access', 'blame', 'ann', 'node1')).stderr).toMatch(/^error: need login@node/);
}, 300_000);
