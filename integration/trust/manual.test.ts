import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { clusterNamed, isOnline, login, tctl } from './trusting.ts';

const manual = readFileSync('docs/trusted-clusters.md', 'utf8');
let root: Cluster;
let leaf: Cluster;

/** The blocks of the page with this first line, one after the other. */
const blocks = (head: string): readonly string[] =>
  manual
    .split(`\`\`\`${head}\n`)
    .slice(1)
    .map((text) => `${text.split('\n```')[0] ?? ''}\n`);
const lines = (head: string): readonly string[] =>
  blocks(head).flatMap((text) => text.trim().split('\n').map(here));

/** With the names and addresses of the test. */
const here = (text: string): string =>
  text
    .replace('web_proxy_addr: root.example.com:3080', `web_proxy_addr: localhost:${root.ports.web}`)
    .replace('tunnel_addr: root.example.com:3024', `tunnel_addr: localhost:${root.ports.web}`)
    .replaceAll('leaf.example.com', 'leaf')
    .replaceAll('root.example.com', 'root')
    .replaceAll('root@node1', `${login}@leaf-node`);

beforeAll(async () => {
  const guests = (text: string): string => text.replace('labels: {env: test}', 'labels: {access: guests}');
  [root, leaf] = await Promise.all([clusterNamed('root'), clusterNamed('leaf', guests)]);
  await createFirstUser(root, 'alice', { logins: [login] });
}, 180_000);
afterAll(() => Promise.all([root, leaf].map((one) => one.close())));

/** Runs a line of the page where it is to be run. */
const typed = (cluster: Cluster, line: string): Promise<Ran> => {
  const [program, ...args] = line.split(' ');
  return run(program ?? '', args, {
    cwd: cluster.dir,
    env: cluster.env('alice'),
  });
};

describe('docs/trusted-clusters.md', () => {
  it('sets up a leaf, and leads people there', async () => {
    const [add = '', list = ''] = lines('sh root');
    const printed = await root.tctl(...add.split(' ').slice(1));
    const token = /The cluster invite token: (\S+)/.exec(printed.stdout)?.[1] ?? printed.stderr;
    const pin = /sha256:[0-9a-f]{64}/.exec(await tctl(root, 'status'))?.[0] ?? '';
    for (const name of ['guest.yaml', 'trusted.yaml'])
      writeFileSync(
        join(leaf.dir, name),
        here(blocks(`yaml leaf ${name}`)[0] ?? '')
          .replace('8a…', token)
          .replace('sha256:…', pin),
      );
    for (const line of lines('sh leaf')) {
      const args = line
        .split(' ')
        .slice(1)
        .map((arg) => (arg.endsWith('.yaml') ? join(leaf.dir, arg) : arg));
      const ran = await leaf.tctl(...args);
      expect([line, ran.code, ran.stderr]).toEqual([line, 0, expect.any(String)]);
    }
    await isOnline(root, 'leaf');
    expect(await tctl(root, ...list.split(' ').slice(1))).toMatch(/connection: "?online/);
    writeFileSync(join(root.dir, 'notes.txt'), 'notes\n');
    for (const line of lines('sh alice')) {
      const ran = await until(`"${line}" to work`, async () => {
        const one = await typed(root, line);
        return one.code === 0 ? one : undefined;
      });
      expect(ran.stderr).toBe('');
    }
  });

  it('shows and changes what is trusted', async () => {
    for (const line of ['tctl get trusted_clusters', 'tctl rm trusted_cluster/root'])
      expect(manual).toContain(line.replace('/root', '/root.example.com'));
    expect(await tctl(leaf, 'get', 'trusted_clusters')).toContain('role_map');
    expect(await tctl(leaf, 'rm', 'trusted_cluster/root')).toContain('has been deleted');
    expect(await tctl(root, 'rm', 'remote_cluster/leaf')).toContain('has been deleted');
  });
});
