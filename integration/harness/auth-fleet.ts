import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run-program.ts';
import { createFleet, type Fleet, type Machine } from './machines.ts';
import { freePorts } from './own-ports.ts';
import type { PeopleCluster } from './people.ts';

export const tokens = { both: 'static-token-for-both', node: 'static-token-for-nodes' };

/** A cluster that is one auth server, for others to join. */
export interface AuthFleet {
  readonly fleet: Fleet;
  readonly auth: Machine;
  readonly authPort: number;
  /** `sha256:…` as `tctl status` prints it now. */
  pin(): Promise<string>;
  /** The configuration of the auth server, on another data directory when one is named. */
  authYaml(dataDir?: string): string;
  /** A machine that joins it. `lines` are of the `teleport` section. */
  joinerYaml(machine: Machine, lines: readonly string[], services: string): string;
  nodeYaml(machine: Machine, ...lines: string[]): string;
  /** A machine that has joined it and serves as proxy and node, with the people who come through it. */
  addFront(name: string): Promise<{ readonly front: Machine; readonly people: PeopleCluster }>;
  /** The flags of the command line that `tctl nodes add` prints. */
  printedFlags(...args: string[]): Promise<string[]>;
  /** What the audit has of tokens that were used, or refused. */
  joinEvents(): Promise<Record<string, unknown>[]>;
}

export async function startAuthFleet(): Promise<AuthFleet> {
  const fleet = createFleet();
  const [authPort = 0] = await freePorts(1);
  const auth = await fleet.add('auth1');
  const made: AuthFleet = {
    fleet,
    auth,
    authPort,
    pin: async () => {
      const status = await fleet.tctl(auth, 'status');
      const pin = /sha256:[0-9a-f]{64}/.exec(status.stdout)?.[0];
      if (pin === undefined) throw new Error(`no pin in: ${status.stdout}${status.stderr}`);
      return pin;
    },
    authYaml: (dataDir = auth.dataDir) => `teleport:
  nodename: auth1
  data_dir: ${dataDir}
auth_service:
  listen_addr: 127.0.0.1:${authPort}
  cluster_name: example
  tokens: ["proxy,node:${tokens.both}", "node:${tokens.node}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`,
    joinerYaml: (machine, lines, services) => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
${[`auth_servers: [127.0.0.1:${authPort}]`, ...lines].map((line) => `  ${line}`).join('\n')}
auth_service: {enabled: no}
${services}`,
    nodeYaml: (machine, ...lines) =>
      made.joinerYaml(
        machine,
        lines,
        `ssh_service: {listen_addr: 127.0.0.1:0}
proxy_service: {enabled: no}
`,
      ),
    addFront: async (name) => {
      const front = await fleet.add(name);
      const [web = 0, ssh = 0] = await freePorts(2);
      front.configure(
        made.joinerYaml(
          front,
          [`auth_token: ${tokens.both}`, `ca_pin: "${await made.pin()}"`],
          `ssh_service: {listen_addr: 127.0.0.1:0}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`,
        ),
      );
      await front.start();
      return { front, people: fleet.people({ auth, proxy: front, web }) };
    },
    printedFlags: async (...args) => {
      const printed = await fleet.tctl(auth, 'nodes', 'add', ...args);
      const command = /^(teleport start (?:\\\n|.)*)$/m.exec(printed.stdout)?.[1];
      if (command === undefined) throw new Error(`no command in:\n${printed.stdout}${printed.stderr}`);
      return command.replaceAll('\\\n', ' ').split(/\s+/).slice(2);
    },
    joinEvents: async () => {
      const listed = await fleet.tctl(auth, 'events', 'ls', '--type=join_token.use', '--format=json');
      return listed.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
  auth.configure(made.authYaml());
  await auth.start();
  return made;
}

/** What the command line of `tctl nodes add` does not say: where things are. */
export const onlyPlace = (machine: Machine): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
ssh_service: {listen_addr: 127.0.0.1:0}
`;

export const identityIn = (machine: Machine, role: string): string =>
  join(machine.dataDir, 'proc', `${role}.identity.json`);
export const identityTextIn = (machine: Machine, role: string): string =>
  readFileSync(identityIn(machine, role), 'utf8');

/** argv that moves the clock of what follows by so many seconds. */
export async function atOffset(seconds: string): Promise<string[]> {
  const found = await run('/bin/sh', ['-c', 'ls /usr/lib/*/faketime/libfaketime.so.1']);
  const library = found.stdout.trim().split('\n')[0] ?? '';
  if (library === '') throw new Error('this test needs the package faketime');
  return ['env', `LD_PRELOAD=${library}`, `FAKETIME=${seconds}`, 'FAKETIME_DONT_FAKE_MONOTONIC=1'];
}
