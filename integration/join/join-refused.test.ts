import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  atOffset,
  type AuthFleet,
  identityIn,
  onlyPlace,
  startAuthFleet,
  tokens,
} from '../harness/auth-fleet.ts';
import { run } from '../harness/run-program.ts';
import type { Machine } from '../harness/machines.ts';

let cluster: AuthFleet;
let auth: Machine;
let pin = '';

beforeAll(async () => {
  cluster = await startAuthFleet();
  ({ auth } = cluster);
  pin = await cluster.pin();
});
afterAll(() => cluster.fleet.close());

describe('a token that can be used once', () => {
  let flags: string[];
  it('joins one machine by the command that tctl prints', async () => {
    flags = await cluster.printedFlags('--uses=1');
    const machine = await cluster.fleet.add('node3');
    machine.configure(onlyPlace(machine));
    await machine.start({ args: flags });
    expect(machine.output()).not.toContain('Joining cluster without validating');
    await machine.stop();
    await machine.start({ args: flags });
    await machine.stop();
  });

  it('joins no other, and both sides say why', async () => {
    const machine = await cluster.fleet.add('node4');
    machine.configure(onlyPlace(machine));
    machine.spawn({ args: flags });
    const line = await machine.says('failed to establish connection to cluster');
    const [, reason = ''] = /cluster: [^ ]+ (.*)\. Retrying in/.exec(line) ?? [];
    expect(reason).toMatch(/"node4" \[[0-9a-f-]{36}\] can ?not join the cluster with role Node.*used/);
    expect(auth.output()).toContain(reason.replaceAll('"', '\\"'));
    const events = await cluster.joinEvents();
    expect(events.find(({ error }) => error === reason)).toMatchObject({ code: 'TJT02W', success: false });
    expect(events.filter(({ code }) => code === 'TJT02I')).toHaveLength(1);
    const token = flags.find((flag) => flag.startsWith('--token='))?.slice(8) ?? '';
    expect(token).not.toBe('');
    for (const text of [machine.output(), auth.output(), JSON.stringify(events)])
      expect(text).not.toContain(token);
    await machine.stop();
  });
});

describe('a machine that cannot join', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await cluster.fleet.add('node2');
  });
  const attempt = async (yaml: string, says: string | RegExp, within: readonly string[] = []) => {
    rmSync(machine.dataDir, { recursive: true, force: true });
    machine.configure(yaml);
    machine.spawn({ within });
    const line = await machine.says(says);
    const ready = await machine.readyz();
    expect(ready?.code).toBe(400);
    expect(existsSync(identityIn(machine, 'node'))).toBe(false);
    expect(machine.output()).not.toMatch(/^\s+at .*\.ts:\d+/m);
    return { line, waits: ready?.body ?? '' };
  };

  it('says which pin it expected and got, and ends at once on TERM and on QUIT', async () => {
    const wrong = `sha256:${'2'.repeat(64)}`;
    const yaml = cluster.nodeYaml(machine, `auth_token: ${tokens.node}`, `ca_pin: ${wrong}`);
    for (const signal of ['SIGTERM', 'SIGQUIT', 'SIGINT'] as const) {
      const { line, waits } = await attempt(yaml, 'provided certificate pin does not match cluster pin');
      expect(line).toContain(
        `Expected: ${wrong}. Got from 127.0.0.1:${cluster.authPort}: ${pin} (of "example", made `,
      );
      expect(waits).toContain('provided certificate pin does not match');
      const { code, ms } = await machine.stop(signal);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(2_000);
    }
  });

  it('warns on standard error when it has no pin, also where the log goes to a file', async () => {
    machine.configure(
      cluster.nodeYaml(
        machine,
        `auth_token: ${tokens.node}`,
        `log: {output: ${join(cluster.fleet.dir, 'node2.log')}, severity: error}`,
      ),
    );
    await machine.start();
    expect(machine.errors()).toMatch(
      /^WARN: Joining cluster without validating the identity of the Auth Server\./,
    );
    await machine.stop();
  });

  it('is told that the token is not valid, or not for its role', async () => {
    const bad = await attempt(
      cluster.nodeYaml(machine, 'auth_token: no-such-token', `ca_pin: ${pin}`),
      /can ?not join the cluster/,
    );
    expect(bad.line).toContain('the token is not valid');
    expect(bad.line).not.toContain('no-such-token');
    await machine.stop();
    const yaml = cluster.joinerYaml(
      machine,
      [`auth_token: ${tokens.node}`, `ca_pin: ${pin}`],
      `ssh_service: {enabled: no}
proxy_service: {listen_addr: 127.0.0.1:0, web_listen_addr: 127.0.0.1:0, tunnel_listen_addr: 127.0.0.1:0, peer_listen_addr: 127.0.0.1:0}
`,
    );
    const wrongRole = await attempt(yaml, /Proxy failed to establish connection/);
    expect(wrongRole.line).toMatch(/does not allow "?Proxy"? role/);
    await machine.stop();
  });

  it('names the clock that is wrong, ahead or behind', async () => {
    for (const offset of ['+3600', '-3600']) {
      const { line } = await attempt(
        cluster.nodeYaml(machine, `auth_token: ${tokens.node}`, `ca_pin: ${pin}`),
        'failed to establish connection to cluster',
        await atOffset(offset),
      );
      expect(line).toMatch(/clock/);
      await machine.stop();
    }
  });

  it('is told that its token has expired', async () => {
    const flags = await cluster.printedFlags('--ttl=1m');
    await auth.stop();
    const later = await atOffset('+120');
    await auth.start({ within: later });
    rmSync(machine.dataDir, { recursive: true, force: true });
    machine.configure(onlyPlace(machine));
    machine.spawn({ within: later, args: flags });
    const line = await machine.says('failed to establish connection to cluster');
    expect(line).toMatch(/can ?not join the cluster with role Node.*expired/);
    await machine.stop();
    await auth.stop();
    await auth.start();
  });

  it('does not start without token and identity, or with a pin that is none', async () => {
    rmSync(machine.dataDir, { recursive: true, force: true });
    const starts = [
      [
        cluster.nodeYaml(machine),
        /^error: this machine is in no cluster yet .*has no token to join one with/m,
      ],
      [
        cluster.nodeYaml(machine, 'ca_pin: sha256:abc'),
        /^error: .*node2\.yaml:5:\d+: teleport\.ca_pin: 'sha256:abc' is not/m,
      ],
    ] as const;
    for (const [yaml, message] of starts) {
      machine.configure(yaml);
      const ran = await run(resolve('bin/teleport'), ['start', `--config=${machine.config}`]);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(message);
    }
  });
});
