import { userInfo } from 'node:os';
import type { AuthClient } from '../../src/api/client.ts';
import { searchAudit } from '../../src/api/operations/audit.ts';
import { openRecording, readRecording } from '../../src/api/operations/recording.ts';
import { isCoded } from '../../src/base/errors.ts';
import type { AuditEvent } from '../../src/domain/audit-event.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { chunksIn } from '../../src/recording/chunks-in.ts';
import type { Frame } from '../../src/recording/frame.ts';
import { framesOf, outputOf } from '../../src/recording/testing.ts';
import { clientOf } from '../harness/auth-bench.ts';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

/** A cluster of one machine in which `joe` has sessions, and whoever looks at their recordings. */
export interface RecordedCluster {
  readonly cluster: Cluster;
  readonly login: string;
  /** `login@node`, for ssh. */
  readonly host: string;
  /** Path of an ssh_config. */
  readonly config: string;
  readonly auth: AuthClient;
  sh(command: string): Promise<Ran>;
  /** Runs a command with a terminal, to its end. */
  inTerminal(command: string): Promise<Ran>;
  /** All events of these types. */
  eventsOf(...types: string[]): Promise<readonly AuditEvent[]>;
  /** Waits for the end of the session whose command has this in it. */
  endOf(marker: string): Promise<AuditEvent>;
  /** Waits until all of it is stored. */
  stored(sid: string): Promise<AuditEvent>;
  /** What is recorded by now. */
  framesIn(sid: string): Promise<Frame[]>;
  /** The same, as text; empty where nothing is stored yet. */
  outputOf(sid: string): Promise<string>;
  /** Starts the daemon again. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function recordedCluster(yaml?: (text: string) => string): Promise<RecordedCluster> {
  const cluster = await startCluster(yaml === undefined ? {} : { yaml });
  const login = userInfo().username;
  const host = `${login}@node1.example`;
  await createFirstUser(cluster, 'joe', { logins: [login] });
  const config = await sshConfigFor(cluster, 'joe');
  const connect = (): AuthClient => {
    const identity = loadIdentity(cluster.dataDir, 'Admin');
    if (identity === undefined) throw new Error('no identity of an administrator');
    return clientOf([{ host: '127.0.0.1', port: cluster.ports.auth }], identity);
  };
  let auth = connect();
  const sh = (command: string): Promise<Ran> =>
    run('/bin/sh', ['-c', command], { env: cluster.env('joe'), cwd: cluster.dir });
  const eventsOf = async (...types: string[]): Promise<readonly AuditEvent[]> => {
    const whenever = { from: '2020-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' };
    return (await auth.call(searchAudit, { ...whenever, types })).events;
  };
  const framesIn = async (sid: string): Promise<Frame[]> => {
    const { key, next } = await auth.call(openRecording, { sid });
    const frames: Frame[] = [];
    for (let first = 0; first < next;) {
      const { chunks } = await auth.call(readRecording, { sid, first });
      const read = chunksIn(sid, Buffer.from(chunks, 'base64'));
      frames.push(...framesOf(read, Buffer.from(key, 'base64')));
      first = (read.at(-1)?.head.number ?? next) + 1;
    }
    return frames;
  };
  return {
    ...{ cluster, login, host, config, sh, eventsOf, framesIn },
    get auth() {
      return auth;
    },
    inTerminal: (command) => sh(`ssh -tt -F ${config} ${host} ${JSON.stringify(command)} < /dev/null`),
    endOf: (marker) =>
      until(`the end of ${marker}`, async () => {
        const starts = await eventsOf('session.start');
        const start = starts.find((one) => String(one['command']).includes(marker));
        return (await eventsOf('session.end')).find(({ sid }) => sid !== undefined && sid === start?.sid);
      }),
    stored: (sid) =>
      until('all of it to be stored', async () =>
        (await eventsOf('session.upload')).find((one) => one.sid === sid),
      ),
    outputOf: (sid) =>
      framesIn(sid).then(outputOf, (e: unknown) => {
        if (isCoded(e, 'not_found')) return '';
        throw e;
      }),
    start: async () => {
      auth.close();
      await cluster.start();
      auth = connect();
    },
    close: async () => {
      auth.close();
      await cluster.close();
    },
  };
}
