import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { joinCluster } from '../../src/api/join-client.ts';
import { realWorld } from '../../src/base/world.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import type { PeopleCluster } from '../harness/people.ts';
import { type Ran, until } from '../harness/run-program.ts';

const token = 'static-token-for-both';
export const login = userInfo().username;

/** Two auth servers on one store, two proxies, and nodes, each a process of its own. */
export interface RotatingCluster {
  readonly fleet: Fleet;
  readonly auths: readonly Machine[];
  readonly proxies: readonly Machine[];
  readonly nodes: readonly Machine[];
  /** By proxy, in their order: people of the same names, who log in at each. */
  readonly people: readonly PeopleCluster[];
  tctl(...args: string[]): Promise<Ran>;
  /** A machine joins, with a pin that `tctl status` shows at that moment. */
  join(): Promise<void>;
  close(): Promise<void>;
}

export interface RotatingOptions {
  /** What stands between the braces of `storage: {}`; default: a directory. */
  readonly store?: string;
  readonly nodes: number;
}

export async function startRotatingCluster({
  store,
  nodes: count,
}: RotatingOptions): Promise<RotatingCluster> {
  const fleet = createFleet();
  const storage = `${store ?? `type: dir, path: ${join(fleet.dir, 'store')}`}, key_file: ${join(fleet.dir, 'keyring')}`;
  const [authA = 0, authB = 0, ...proxyPorts] = await freePorts(6);
  const list = `127.0.0.1:${authA}, 127.0.0.1:${authB}`;
  const auths = await Promise.all(
    [authA, authB].map(async (port, i) => {
      const machine = await fleet.add(`auth${i + 1}`);
      machine.configure(`teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: [${list}]
  log: {severity: debug}
  storage: {${storage}}
auth_service:
  listen_addr: 127.0.0.1:${port}
  cluster_name: example
  tokens: ["proxy,node:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`);
      return machine;
    }),
  );
  const [first] = auths;
  if (first === undefined) throw new Error('no auth server');
  const tctl = (...args: string[]): Promise<Ran> => fleet.tctl(first, ...args);
  const pin = async (): Promise<string> =>
    /sha256:[0-9a-f]{64}/.exec((await tctl('status')).stdout)?.[0] ?? '(no pin)';
  const joiner = (machine: Machine, caPin: string, services: string): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: [${list}]
  auth_token: ${token}
  log: {severity: debug}
  ca_pin: "${caPin}"
auth_service: {enabled: no}
${services}`;
  const newNode = async (name: string, caPin: string): Promise<Machine> => {
    const machine = await fleet.add(name);
    const services = 'ssh_service: {listen_addr: "127.0.0.1:0"}\nproxy_service: {enabled: no}\n';
    machine.configure(joiner(machine, caPin, services));
    return machine;
  };
  try {
    for (const auth of auths) await auth.start();
    const known = await pin();
    const [sshA = 0, webA = 0, sshB = 0, webB = 0] = proxyPorts;
    const proxies = await Promise.all(
      [
        [sshA, webA],
        [sshB, webB],
      ].map(async ([ssh = 0, web = 0], i) => {
        const machine = await fleet.add(`proxy${i + 1}`);
        machine.configure(
          joiner(
            machine,
            known,
            `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`,
          ),
        );
        return machine;
      }),
    );
    const nodes: Machine[] = [];
    for (let n = 1; n <= count; n++) nodes.push(await newNode(`node${n}`, known));
    await Promise.all([...proxies, ...nodes].map((machine) => machine.start()));
    const people = proxies.map((proxy, i) => fleet.people({ auth: first, proxy, web: [webA, webB][i] ?? 0 }));
    const join = async (): Promise<void> => {
      await joinCluster(
        { servers: [authA, authB].map((port) => ({ host: '127.0.0.1', port })), pins: [await pin()] },
        {
          hostId: randomUUID(),
          nodename: `joiner-${randomUUID()}`,
          role: 'Node',
          additionalPrincipals: [],
          key: generateKeyPairSync('ed25519').privateKey,
          token: () => token,
        },
        realWorld,
      );
    };
    return { fleet, auths, proxies, nodes, people, tctl, join, close: () => fleet.close() };
  } catch (e) {
    await fleet.close();
    throw e;
  }
}

/** A session that prints a line for each line that it is sent, as long as it lives. */
export interface EchoSession {
  /** Sends a word and waits for it to come back. */
  echo(word: string): Promise<void>;
  /** How it ended; undefined while it lives. */
  ended(): string | undefined;
  close(): void;
}

export function openEchoSession(people: PeopleCluster, person: string, node: string): EchoSession {
  const child: ChildProcess = spawn(join('bin', 'tsh'), ['ssh', `${login}@${node}`, 'cat'], {
    env: people.env(person),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let end: string | undefined;
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  child.stdin?.on('error', () => undefined); // how it ended is what counts
  child.once('exit', (code, signal) => (end = `exit ${String(code ?? signal)}: ${output.slice(-300)}`));
  return {
    echo: async (word) => {
      child.stdin?.write(`${word}\n`);
      await until(`the session on ${node} to echo ${word}`, () => {
        if (end !== undefined) throw new Error(`the session on ${node} ended: ${end}`);
        return output.includes(word) ? true : undefined;
      });
    },
    ended: () => end,
    close: () => child.kill('SIGKILL'),
  };
}
