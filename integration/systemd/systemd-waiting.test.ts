import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import type { Machine } from './machine.ts';
import { systemdRoots } from './roots.ts';
import { bootInstalled, mainPidOf, writeConfiguration } from './service.ts';

const token = 'static-token-of-this-test';
const joiner = (name: string, services: string): string => `teleport:
  nodename: ${name}
  data_dir: /var/lib/${name}
  auth_servers: ["127.0.0.1:3025"]
  auth_token: ${token}
  restart_timeout: 4s
auth_service: {enabled: no}
${services}`;
const auth = (storage: string): string => `teleport:
  nodename: auth1
  data_dir: /var/lib/teleport
  storage: ${storage}
auth_service:
  cluster_name: example
  tokens: ["proxy,node:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`;
/** Shorter than anything here waits. */
const startTimeoutSeconds = 5;

describe.each(await systemdRoots())('systemd $version', ({ root }) => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await bootInstalled(root);
    for (const unit of ['teleport', 'teleport-auth', 'teleport-proxy'])
      await machine.must(
        `mkdir -p /run/systemd/system/${unit}.service.d && ` +
          `printf '[Service]\\nTimeoutStartSec=${startTimeoutSeconds}\\n' > /run/systemd/system/${unit}.service.d/soon.conf`,
      );
    await machine.must('mkdir -p -m 0700 /var/lib/node1 && systemctl daemon-reload');
  }, 120_000);
  afterAll(() => machine.close());

  const statusIs = (unit: string, text: RegExp): Promise<string> =>
    until(
      `${unit} to say ${String(text)}`,
      async () => {
        const said = await machine.show(unit, 'StatusText');
        return text.test(said) ? said : undefined;
      },
      60_000,
    ).catch(async (e: unknown) => {
      throw new Error(
        `${String(e)}: ${await machine.must(`systemctl status ${unit}; journalctl -u ${unit}`)}`,
      );
    });
  const waiting = (role: string): RegExp =>
    new RegExp(`^waiting to join: ${role} failed to establish connection to cluster: .*ECONNREFUSED`);

  it('is ready as one that waits to join, says for what, and serves once auth is there', async () => {
    await writeConfiguration(machine, joiner('node1', 'ssh_service: {}\nproxy_service: {enabled: no}\n'));
    await machine.must('systemctl start teleport');
    expect(await machine.show('teleport', 'ActiveState')).toBe('active');
    expect(await machine.show('teleport', 'StatusText')).toMatch(waiting('Node'));
    const pid = await mainPidOf(machine, 'teleport');
    expect(Number(await machine.must('cat /run/teleport.pid'))).toBe(pid);
    // A new process cannot join either: the one that waits goes on.
    await machine.must('systemctl reload teleport');
    await statusIs('teleport', /^waiting to join: .*; the last reload failed: /);
    expect(await machine.show('teleport', 'ActiveState')).toBe('active');
    await writeConfiguration(machine, auth('{type: dir}'));
    await machine.must('systemctl start teleport-auth');
    await statusIs('teleport', /^serving/);
    expect(await mainPidOf(machine, 'teleport')).toBe(pid);
    expect(await machine.show('teleport', 'NRestarts')).toBe('0');
    // And says so when auth leaves: it goes on for who has a certificate.
    await machine.must('systemctl stop teleport-auth');
    await statusIs('teleport', /^serving, but node: auth is away/);
    expect(await machine.must('journalctl -u teleport -o cat')).toContain('serving, but node: auth is away');
    await machine.must('systemctl stop teleport');
    expect((await machine.sh('cat /run/teleport.pid')).code).not.toBe(0);
  });

  it('waits so as a proxy that is shut in too, and ends at once when it is stopped', async () => {
    await writeConfiguration(
      machine,
      joiner('teleport', 'ssh_service: {enabled: no}\nproxy_service: {}\n').replace(
        '/var/lib/teleport',
        '/var/lib/teleport/p',
      ),
    );
    await machine.must('systemctl start teleport-proxy');
    expect(await machine.show('teleport-proxy', 'ActiveState')).toBe('active');
    expect(await machine.show('teleport-proxy', 'StatusText')).toMatch(waiting('Proxy'));
    await machine.must('systemctl stop teleport-proxy');
    expect(await machine.show('teleport-proxy', 'Result')).toBe('success');
  });

  it('gives an auth server the time that its store has, and says for what it waits', async () => {
    await writeConfiguration(
      machine,
      auth('{type: etcd, peers: ["http://127.0.0.1:1"], prefix: /x/, dial_timeout: 12s}'),
    );
    const started = machine.sh('systemctl start teleport-auth');
    await statusIs('teleport-auth', /^waiting for the store: no peer of etcd answers/);
    expect(await machine.show('teleport-auth', 'ActiveState')).toBe('activating');
    expect((await started).code).not.toBe(0);
    const journal = await machine.must('journalctl -u teleport-auth -o cat');
    expect(journal).toMatch(/initialization failed: no peer of etcd answers.*\(tried for 12 s\)/);
    expect(journal).not.toContain('timed out');
    await machine.must('systemctl stop teleport-auth');
  });
});
