import { stat } from 'node:fs/promises';
import { CodedError } from '../../base/errors.ts';
import type { ClientSession, SshClient } from '../../ssh/cert-client.ts';
import type { CliIo } from '../cli-io.ts';
import { ExitStatus } from '../errors.ts';
import type { Run } from '../program.ts';
import type { ClusterClient } from './cluster-client.ts';
import { watchInterruption } from './interruption.ts';
import { openCluster } from './open-cluster.ts';
import { parsePort } from './proxy-address.ts';
import { readAsked } from './scp-asked.ts';
import { type Location, parseLocation } from './scp-location.ts';
import { ScpPeer } from './scp-peer.ts';
import { showProgress } from './scp-progress.ts';
import { receiveAll } from './scp-receive.ts';
import { sendAll } from './scp-send.ts';
import { readSettings } from './settings.ts';
import { shellQuoteGlob } from './shell-quote.ts';
import { explainAmbiguous } from './ssh-nodes.ts';

type Remote = Extract<Location, { kind: 'remote' }>;

interface Copy {
  readonly login: string;
  readonly port: number | undefined;
  readonly recursive: boolean;
  readonly quiet: boolean;
}

/** `tsh scp from… to`: files up to a node or down from nodes. */
export const scpCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const locations = invocation.rest('from, to').map(parseLocation);
  const plan = planOf(locations);
  if (plan.kind === 'down') for (const { path } of plan.from) readAsked(path);
  const port = invocation.text('port');
  const copy: Copy = {
    login: settings.login,
    port: port === undefined ? undefined : parsePort(port, '-P'),
    recursive: invocation.on('recursive'),
    quiet: invocation.on('quiet'),
  };
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster') });
  const interruption = watchInterruption();
  try {
    const work = plan.kind === 'up' ? upload(cluster, plan, copy, io) : download(cluster, plan, copy, io);
    const warnings = await Promise.race([work, interruption.signalled]);
    if (warnings.length > 0) throw new ExitStatus(1, warnings.join('\n'));
    return 0;
  } finally {
    interruption.stop();
    cluster.close();
  }
};

type Plan =
  | { readonly kind: 'up'; readonly from: readonly string[]; readonly to: Remote }
  | { readonly kind: 'down'; readonly from: readonly Remote[]; readonly to: string };

/** @throws CodedError `bad_request` unless one side is here and the other on a node. */
export function planOf(locations: readonly Location[]): Plan {
  const to = locations.at(-1);
  const from = locations.slice(0, -1);
  if (to === undefined || from.length === 0)
    throw new CodedError('bad_request', 'Need at least two arguments for scp');
  const local = from.filter((l) => l.kind === 'local');
  const remote = from.filter((l) => l.kind === 'remote');
  if (to.kind === 'remote') {
    if (remote.length > 0)
      throw new CodedError(
        'bad_request',
        'copying from one node to another is not available in this release',
      );
    return { kind: 'up', from: local.map((l) => l.path), to };
  }
  if (local.length > 0)
    throw new CodedError(
      'bad_request',
      'source and destination are both on this machine: name a node as [user@]host:path',
    );
  return { kind: 'down', from: remote, to: to.path };
}

async function upload(
  cluster: ClusterClient,
  { from, to }: Extract<Plan, { kind: 'up' }>,
  copy: Copy,
  io: CliIo,
): Promise<readonly string[]> {
  const node = await dial(cluster, to, copy, io);
  try {
    const directory = from.length > 1 ? ['-d'] : [];
    const peer = await start(node, ['-t', ...flagsOf(copy), ...directory], to.path, io, (p) =>
      sendAll(p, from, copy.recursive, showProgress('->', copy.quiet, io)),
    );
    return peer.warnings;
  } finally {
    node.close();
  }
}

async function download(
  cluster: ClusterClient,
  { from, to }: Extract<Plan, { kind: 'down' }>,
  copy: Copy,
  io: CliIo,
): Promise<readonly string[]> {
  if (from.length > 1 && !(await isFolder(to)))
    throw new CodedError('bad_request', `${to}: several sources need a folder that exists`);
  const nodes = new Map<string, SshClient>();
  const warnings: string[] = [];
  try {
    for (const source of from) {
      const key = JSON.stringify([source.login, source.host]);
      const node = nodes.get(key) ?? (await dial(cluster, source, copy, io));
      nodes.set(key, node);
      const receiving = {
        asked: source.path,
        target: to,
        recursive: copy.recursive,
        progress: showProgress('<-', copy.quiet, io),
      };
      const peer = await start(node, ['-f', ...flagsOf(copy)], source.path, io, (p) =>
        receiveAll(p, receiving),
      );
      warnings.push(...peer.warnings);
    }
    return warnings;
  } finally {
    for (const node of nodes.values()) node.close();
  }
}

const flagsOf = (copy: Copy): readonly string[] => (copy.recursive ? ['-r'] : []);

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );

async function dial(cluster: ClusterClient, remote: Remote, copy: Copy, io: CliIo): Promise<SshClient> {
  const address = { host: remote.host, port: copy.port, login: remote.login ?? copy.login };
  return cluster.dialNode(address).catch(async (e: unknown) => {
    throw await explainAmbiguous(e, cluster, remote.host, io);
  });
}

/** Starts the other side, lets `work` speak to it, and waits for its end. What it wrote to stderr explains a failure. */
async function start(
  node: SshClient,
  flags: readonly string[],
  path: string,
  io: CliIo,
  work: (peer: ScpPeer) => Promise<void>,
): Promise<ScpPeer> {
  const dashes = path.startsWith('-') ? ['--'] : [];
  const session = await node.exec(['/usr/bin/scp', ...flags, ...dashes, shellQuoteGlob(path)].join(' '));
  const errors = collect(session);
  const peer = new ScpPeer(session);
  try {
    await work(peer);
    peer.end();
  } catch (e) {
    session.channel.destroy();
    const said = (await errors).trim();
    if (said === '') throw e;
    io.stderr.write(`${said}\n`);
    throw e;
  }
  const exit = await session.exit;
  if (exit.status === 'exited' && exit.code !== 0 && peer.warnings.length === 0)
    peer.warnings.push((await errors).trim() || `the remote scp ended with status ${exit.code}`);
  return peer;
}

const maxErrorText = 16_384;

async function collect(session: ClientSession): Promise<string> {
  let text = '';
  try {
    for await (const piece of session.channel.stderr as AsyncIterable<Buffer>)
      if (text.length < maxErrorText) text += piece.toString('utf8');
  } catch {
    // the channel was cut off: what it said until then is what there is
  }
  return text;
}
