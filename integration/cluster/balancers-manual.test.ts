import { readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { readConfiguration } from '../../src/process/configuration/configuration.ts';
import { newKey } from '../harness/auth-bench.ts';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { run, until } from '../harness/run-program.ts';

interface Block {
  readonly what: string;
  readonly text: string;
}
/** The fenced blocks of the page. */
const blocks: readonly Block[] = [
  ...readFileSync('docs/balancers.md', 'utf8').matchAll(/^```(.+)\n([^]*?)^```$/gm),
].map(([, what = '', text = '']) => ({ what, text }));
const block = (what: string): string => blocks.find((one) => one.what === what)?.text ?? '';

const balancer = '127.0.0.9';
let cluster: AuthFleet;
let proxy: Machine;
const closers: (() => Promise<void>)[] = [];
let web = 0;

beforeAll(async () => {
  cluster = await startAuthFleet();
  const { fleet, auth, authPort } = cluster;
  const pin = await cluster.pin();
  await auth.stop();
  const section = block('yaml auth server').replace('10.0.0.5', balancer);
  auth.configure(cluster.authYaml().replace('auth_service:\n', section));
  await auth.start();
  const [front = 0] = await freePorts(1);
  const config = join(fleet.dir, 'auth.cfg');
  const [diagHost = '', diagPort = ''] = auth.diagAddress().split(':');
  writeFileSync(
    config,
    block('haproxy before auth servers')
      .replace('bind :3025', `bind 127.0.0.1:${front}`)
      .replace('10.0.0.21:3025', `127.0.0.1:${authPort}`)
      .replace(/^ *server auth2 .*$/m, '')
      .replace('check port 3434', `source ${balancer} check addr ${diagHost} port ${diagPort}`),
  );
  const haproxy = spawn('/usr/sbin/haproxy', ['-db', '-f', config], { stdio: 'ignore' });
  closers.push(async () => {
    const ended = new Promise((settle) => haproxy.once('exit', settle));
    haproxy.kill('SIGTERM');
    await ended;
  });
  proxy = await fleet.add('proxy1');
  const [ssh = 0, webPort = 0] = await freePorts(2);
  web = webPort;
  const services =
    'ssh_service: {enabled: no}\n' +
    block('yaml proxy behind HTTPS').replace('10.0.0.5', balancer) +
    `  listen_addr: 127.0.0.1:${ssh}\n  web_listen_addr: 127.0.0.1:${web}\n`;
  const lines = [`auth_token: ${tokens.both}`, `ca_pin: "${pin}"`, 'drain_notice: 1s'];
  const yaml = cluster.joinerYaml(proxy, lines, services);
  // By the balancer.
  proxy.configure(
    yaml.replace(`auth_servers: [127.0.0.1:${authPort}]`, `auth_servers: [127.0.0.1:${front}]`),
  );
  await proxy.start({ args: ['--insecure'] });
}, 120_000);
afterAll(async () => {
  for (const close of closers) await close();
  await cluster.fleet.close();
});

/** A command of the page, with the ports of the test. */
const shell = async (line: string): Promise<string> => {
  const { stdout, stderr } = await run('bash', [
    '-c',
    line
      .replace('127.0.0.1:3434', proxy.diagAddress())
      .replace(/^tctl /, `${resolve('bin/tctl')} --config ${cluster.auth.config} `),
  ]);
  return stdout + stderr;
};

/** What each command is shown to do. One without an entry fails. */
const shows: Record<string, () => Promise<void>> = {
  'curl -s http://127.0.0.1:3434/readyz?role=proxy': async () => {
    expect(await shell('curl -s http://127.0.0.1:3434/readyz?role=proxy')).toContain('"status":"ok"');
  },
  'curl -s http://127.0.0.1:3434/metrics | grep proxy_protocol_refused_total': async () => {
    const file = readConfiguration({ config: proxy.config }, {}).file.proxy_service;
    const port = String(file.listen_addr?.port);
    await run('curl', ['-sS', '-m', '5', '--interface', balancer, `telnet://127.0.0.1:${port}`], {
      input: 'SSH-2.0-x\r\n',
    });
    expect(
      await shell('curl -s http://127.0.0.1:3434/metrics | grep proxy_protocol_refused_total'),
    ).toContain('proxy_protocol_refused_total{listener="proxy:ssh",reason="missing"} 1\n');
  },
  'tctl events ls --type=user.login --format=json': async () => {
    const key = Buffer.from(`${toAuthorizedKeyLine(newKey().publicKey.blob)}\n`).toString('base64');
    const body = JSON.stringify({ user: 'nobody', password: 'x', pub_key: key, ttl: 3_600_000_000_000 });
    await run('curl', [
      ...['-sS', '--interface', balancer, '-H', 'X-Forwarded-For: 203.0.113.9', '-d', body],
      `http://127.0.0.1:${web}/v1/webapi/ssh/certs`,
    ]);
    const told = await until('the login', async () => {
      const text = await shell('tctl events ls --type=user.login --format=json');
      return text.includes('nobody') ? text : undefined;
    });
    expect(JSON.parse(told)).toMatchObject({
      'addr.remote': '203.0.113.9:0',
      'addr.balancer': expect.stringMatching(/^127\.0\.0\.9:/) as string,
    });
  },
  'systemctl kill --kill-whom=main -s QUIT teleport': async () => {
    const ended = proxy.stop('SIGQUIT');
    await until('503', async () => ((await proxy.readyz('role=proxy'))?.code === 503 ? true : undefined));
    const { code, ms } = await ended;
    expect(code).toBe(0);
    expect(ms).toBeGreaterThan(1_000);
  },
};

describe('docs/balancers.md', () => {
  it('puts auth servers behind a balancer that names who joins', async () => {
    const [joined] = (await cluster.joinEvents()).filter((event) => event['role'] === 'Proxy');
    expect(String(joined?.['addr.remote'])).toMatch(/^127\.0\.0\.1:/);
  });

  const commands = blocks.filter(({ what }) => what === 'sh').flatMap(({ text }) => text.trim().split('\n'));
  // The one that ends the proxy comes last.
  it.each(commands.toSorted((a, b) => Number(a.includes('QUIT')) - Number(b.includes('QUIT'))))(
    'has a command that works: %s',
    async (command) => {
      await shows[command]?.();
      expect(shows).toHaveProperty([command]);
    },
  );

  it('has no block that is not tried', () => {
    const known = ['sh', 'yaml auth server', 'yaml proxy behind HTTPS', 'haproxy before auth servers'];
    expect(blocks.filter(({ what }) => !known.includes(what))).toEqual([]);
  });
});
