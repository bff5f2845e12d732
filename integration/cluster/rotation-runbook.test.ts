import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { withTctlOf } from '../harness/wrapped-tctl.ts';

/** The lines of the `sh` blocks of a page, in their order, with the heading that each stands under. */
function commandsOf(markdown: string): { readonly heading: string; readonly command: string }[] {
  const found: { heading: string; command: string }[] = [];
  let heading = '';
  let within: 'nothing' | 'commands' | 'other' = 'nothing';
  for (const line of markdown.split('\n')) {
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence !== null) {
      if (within !== 'nothing') within = 'nothing';
      else within = fence[1] === 'sh' ? 'commands' : 'other';
    } else if (within === 'commands' && line.trim() !== '') found.push({ heading, command: line.trim() });
    else if (within === 'nothing' && line.startsWith('## ')) heading = line.slice(3);
  }
  return found;
}

const token = 'static-token-for-both';
let fleet: Fleet;
let auth: Machine;
/** A proxy and a node in one process. */
let host: Machine;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  fleet = createFleet();
  const [authPort = 0, ssh = 0, proxySsh = 0, web = 0] = await freePorts(4);
  auth = await fleet.add('auth1');
  auth.configure(`teleport:
  nodename: auth1
  data_dir: ${auth.dataDir}
  log: {severity: debug}
  storage: {key_file: ${join(fleet.dir, 'keyring')}}
auth_service:
  listen_addr: 127.0.0.1:${authPort}
  cluster_name: example
  tokens: ["proxy,node:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`);
  await auth.start();
  const pin = /sha256:[0-9a-f]{64}/.exec((await fleet.tctl(auth, 'status')).stdout)?.[0] ?? '';
  host = await fleet.add('host1');
  host.configure(`teleport:
  nodename: host1
  data_dir: ${host.dataDir}
  auth_servers: ["127.0.0.1:${authPort}"]
  auth_token: ${token}
  ca_pin: "${pin}"
  log: {severity: debug}
auth_service: {enabled: no}
ssh_service: {listen_addr: "127.0.0.1:${ssh}"}
proxy_service:
  listen_addr: 127.0.0.1:${proxySsh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
`);
  await host.start();
  expect((await fleet.tctl(auth, 'users', 'add', 'joe')).code).toBe(0);
  env = withTctlOf({ dir: fleet.dir, config: auth.config });
}, 120_000);
afterAll(() => fleet.close());

/** As on the machine of the auth server; the diagnostics listen where this test has them. */
const shell = (command: string): Promise<Ran> =>
  run('/bin/sh', ['-c', command.replaceAll('127.0.0.1:3434', auth.diagAddress())], {
    env,
  });
const printed = ({ stdout, stderr }: Ran): string => (stdout + stderr).replace(/ +$/gm, '');
/** What the command prints, and its status where that is not 0. */
async function answer(command: string): Promise<string> {
  const ran = await shell(command);
  return printed(ran) + (ran.code === 0 ? '' : `[exit ${String(ran.code)}]\n`);
}

describe('a step of a rotation that a host keeps', () => {
  it('waits for it, then names it, and changes nothing', async () => {
    expect(await answer('tctl auth rotate --phase=init')).toMatch(
      /^Updated rotation phase to "init"\. To check status use 'tctl status'\n[\s\S]*3 of 3 hosts have init\nNext: tctl auth rotate --phase=update_clients\nTo go back: tctl auth rotate --phase=rollback\n$/,
    );
    host.signal('SIGSTOP');
    try {
      expect(await answer('tctl auth rotate --phase=update_clients --wait=0')).toContain(
        "did not report it within 0s: 'tctl auth rotate --status' names them, and the next step waits for them\n",
      );
      expect(await answer('tctl auth rotate --phase=update_servers --wait=1s')).toMatch(
        /1 of 3 hosts has update_clients; waiting for host1 \(\w+\), host1 \(\w+\)\nNodename Role +Version .*\n-+ .*\nhost1 .* init\nhost1 .* init\nerror: 2 hosts still lack phase update_clients after 1s: nothing was changed\n[\s\S]*--force leaves them behind: .*\n\[exit 1\]\n$/,
      );
      expect(await answer('tctl auth rotate --phase=update_servers --dry-run')).toMatch(
        /^Would take the user authority from update_clients to update_servers: .*\nWould take the host authority .*\n2 hosts still lack phase update_clients and would have to be waited for:\n[\s\S]*\nNothing was changed\n$/,
      );
      expect(await answer('tctl status')).toMatch(
        /\nUser CA  rotating clients \(mode: manual, started: .* UTC, ending: .* UTC\)\n +1 of 3 hosts has it; next: update_servers, by tctl auth rotate --type=user --phase=update_servers\nHost CA  rotating clients /,
      );
    } finally {
      host.signal('SIGCONT');
    }
  });

  it('is taken as soon as the host has followed', async () => {
    expect(await answer('tctl auth rotate --phase=update_servers')).toMatch(
      /3 of 3 hosts have update_servers\nNext: tctl auth rotate --phase=standby\n/,
    );
  });

  it('leaves the host behind when it is forced, and the audit has its name', async () => {
    await answer('tctl auth rotate --phase=rollback');
    host.signal('SIGSTOP');
    try {
      await answer('tctl auth rotate --phase=standby --wait=0');
      await answer('tctl auth rotate --phase=init --wait=0 --force');
      expect(await answer('tctl auth rotate --phase=update_clients --wait=0 --force')).toMatch(
        /WARNING: 2 hosts are left behind: until they have caught up [\s\S]*\nhost1 /,
      );
    } finally {
      host.signal('SIGCONT');
    }
    expect(await answer('tctl events ls --type=cert_authority.rotate')).toMatch(
      /TCA001W admin type=user phase=update_clients .*left=\W+host1 \[/,
    );
    expect(await answer('tctl auth rotate --phase=rollback')).toContain('3 of 3 hosts have rollback');
    expect(await answer('tctl auth rotate --phase=standby')).toContain('3 of 3 hosts have standby');
  });

  it('is refused out of its order, with the phase that is current', async () => {
    expect(await answer('tctl auth rotate --phase=update_servers')).toBe(
      'error: can only switch to phase update_servers from update_clients, current phase is standby (user authority)\n[exit 1]\n',
    );
    expect(await answer('tctl auth rotate --grace-period=0')).toMatch(
      /^error: a grace period of 0 withdraws every key at once: .*--force does it\n\[exit 1\]\n$/,
    );
  });
});

describe('docs/rotation.md', () => {
  const commands = commandsOf(readFileSync('docs/rotation.md', 'utf8'));
  /** What a command must print, by its beginning; the longest that fits. */
  const prints: readonly (readonly [string, RegExp])[] = [
    ['tctl auth rotate', /^Initiated certificate authority rotation[\s\S]*3 of 3 hosts have init\n/],
    ['tctl auth rotate --status', /^User CA  /],
    ['tctl auth rotate --status --format=json', /"acknowledged": 3,/],
    ['tctl auth rotate --dry-run', /\nNothing was changed\n$/],
    ['tctl auth rotate --phase', /^Updated rotation phase/],
    ['tctl auth rotate --manual --phase', /^Updated rotation phase[\s\S]*3 of 3 hosts have /],
    ['tctl auth rotate --type=user --phase', /^Updated rotation phase|\nNothing was changed\n$/],
    ['tctl auth rotate --grace-period=0 --dry-run', /^Would replace every key of the user authority at once/],
    ['tctl auth rotate --grace-period=0 --force', /\nEvery old key is void\./],
    ['tctl status', /\nUser CA  /],
    ['tctl events ls --type=cert_authority.replace', /TCA002W/],
    ['tctl events ls --type=cert_authority.rotate ', /TCA001I/],
    ['tctl auth ls', /^host +SHA256:.*signs/m],
    ['curl -fsS http://127.0.0.1:3434/readyz', /"status":"ok"/],
    ['curl -fsS http://127.0.0.1:3434/metrics', /authority_rotation_hosts_lagging\{authority="host"\} 0/],
  ];
  const expectedOf = (command: string): RegExp =>
    prints.filter(([start]) => command.startsWith(start)).sort(([a], [b]) => b.length - a.length)[0]?.[1] ??
    /./;

  it('has commands that do what it says, in the order of the page', { timeout: 300_000 }, async () => {
    expect(commands.length).toBeGreaterThan(25);
    const last = new Map<string, string>();
    /** What a person reads from the command before and types into the next one. */
    const filledIn = (command: string): string => {
      const hostId = /host1 +([0-9a-f-]{36})/.exec(last.get('tctl nodes ls') ?? '')?.[1];
      const lock = /^([0-9a-f-]{36}) +User:"joe"/m.exec(last.get('tctl locks ls') ?? '')?.[1];
      return command.replace('<uuid>', hostId ?? '').replace('<id>', lock ?? '');
    };
    const failed: string[] = [];
    for (const { heading, command } of commands) {
      if (command.includes('<uuid>')) last.set('tctl nodes ls', await answer('tctl nodes ls'));
      const ask = (): Promise<string> => answer(filledIn(command));
      // Gauges are measured every few seconds: what they show is that of a moment ago.
      const text = command.includes('/metrics')
        ? await until(`${command} to fit`, async () => {
            const shown = await ask();
            return expectedOf(command).test(shown) ? shown : undefined;
          })
        : await ask();
      last.set(command, text);
      if (!expectedOf(command).test(text) || /\[exit \d+\]\n$/.test(text))
        failed.push(`${heading}: $ ${command}\n${text}`);
      if (failed.length > 0) break;
      const isAfterLeak = [...last.keys()].some((one) => one.includes('--grace-period=0 --force'));
      if (isAfterLeak && command.startsWith('tctl tokens add')) await joinAgain(last);
    }
    expect(failed).toEqual([]);
  });

  /** Step 2 of what follows a leak. */
  async function joinAgain(last: ReadonlyMap<string, string>): Promise<void> {
    const ofStatus = /sha256:[0-9a-f]{64}/.exec(last.get('tctl status') ?? '')?.[0] ?? '';
    const added = last.get('tctl tokens add --type=proxy,node --ttl=2h') ?? '';
    const fresh = /The invite token: (\S+)/.exec(added)?.[1] ?? '';
    const before = readFileSync(host.config, 'utf8');
    host.configure(before.replace(token, fresh).replace(/sha256:[0-9a-f]{64}/, ofStatus));
    await host.stop();
    await host.start();
    await until('the host to follow again', async () =>
      /^Host CA  rotated .*\n(?! )/m.test(await answer('tctl status')) ? true : undefined,
    );
  }
});
