import { CodedError } from '../../../base/errors.ts';
import type { ClientSession, SshClient } from '../../../ssh/cert-client.ts';
import { isFolder, receiveFiles } from '../../../transfer/scp-receive.ts';
import { type Progress, sendFiles } from '../../../transfer/scp-send.ts';
import { ScpStream } from '../../../transfer/scp-stream.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import type { Run } from '../../program.ts';
import { writeBesides } from '../../terminal-output.ts';
import type { ClusterClient } from '../cluster/cluster-client.ts';
import { watchInterruption } from '../../interruption.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { parsePort } from '../cluster/proxy-address.ts';
import { readAsked } from './scp-asked.ts';
import { localUsername } from '../ssh/local-person.ts';
import { type Location, formatLocation, parseLocation } from './scp-location.ts';
import { type Left, checkEnd, cutShort, leftHere, leftThere } from './scp-outcome.ts';
import { placeFor } from './scp-place.ts';
import { showProgress } from './scp-progress.ts';
import { readSettings } from '../settings.ts';
import { shellQuoteGlob } from '../../../base/shell-quote.ts';
import { explainAmbiguous } from '../ssh/ssh-nodes.ts';

type Remote = Extract<Location, { kind: 'remote' }>;

interface Copy {
  readonly login: string | undefined;
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
  const stopBesides = writeBesides(io);
  try {
    const work = plan.kind === 'up' ? upload(cluster, plan, copy, io) : download(cluster, plan, copy, io);
    const warnings = await Promise.race([work, interruption.signalled]);
    if (warnings.length > 0) throw new ExitStatus(1, warnings.join('\n'));
    return 0;
  } finally {
    interruption.stop();
    stopBesides();
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
    const waiting = [...from];
    const left = leftHere(waiting);
    const progress = both(left.progress, showProgress('->', copy.quiet, io));
    const sending = { recursive: copy.recursive, preserve: false, progress };
    return await start(node, ['-t', ...flagsOf(copy), ...directory], to.path, left, (stream) =>
      sendFiles(stream, waiting, sending),
    );
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
  let begun = 0;
  try {
    for (const source of from) {
      begun++;
      const key = JSON.stringify([source.login, source.host]);
      const node = nodes.get(key) ?? (await dial(cluster, source, copy, io));
      nodes.set(key, node);
      warnings.push(...(await downloadOne(node, source, to, copy, io)));
    }
    return warnings;
  } catch (e) {
    const rest = from.slice(begun).map((source) => `not copied: ${formatLocation(source)}`);
    throw withLines(e, warnings, rest);
  } finally {
    for (const node of nodes.values()) node.close();
  }
}

async function downloadOne(
  node: SshClient,
  source: Remote,
  target: string,
  copy: Copy,
  io: CliIo,
): Promise<readonly string[]> {
  const left = leftThere(formatLocation(source));
  const receiving = {
    place: await placeFor(source.path, target),
    recursive: copy.recursive,
    preserve: false,
    progress: both(left.progress, showProgress('<-', copy.quiet, io)),
  };
  return start(node, ['-f', ...flagsOf(copy)], source.path, left, (stream) =>
    receiveFiles(stream, receiving),
  );
}

const both =
  (one: Progress, other: Progress): Progress =>
  (path, size, done) => {
    one(path, size, done);
    other(path, size, done);
  };

/** The same failure, with what was reported before it, and what was not copied. */
function withLines(e: unknown, before: readonly string[], after: readonly string[]): unknown {
  if (!(e instanceof CodedError) || (before.length === 0 && after.length === 0)) return e;
  return new CodedError(e.code, [...before, e.message, ...after].join('\n'), { cause: e });
}

const flagsOf = (copy: Copy): readonly string[] => (copy.recursive ? ['-r'] : []);

async function dial(cluster: ClusterClient, remote: Remote, copy: Copy, io: CliIo): Promise<SshClient> {
  const address = {
    host: remote.host,
    port: copy.port,
    login: remote.login ?? copy.login ?? localUsername(io.env),
  };
  return cluster.dialNode(address).catch(async (e: unknown) => {
    throw await explainAmbiguous(e, cluster, remote.host, io);
  });
}

/**
 * Starts the other side, lets `work` talk to it, and waits for its end. Resolves to what could not be copied.
 * @throws CodedError when the copy is not complete.
 */
async function start(
  node: SshClient,
  flags: readonly string[],
  path: string,
  left: Left,
  work: (stream: ScpStream) => Promise<void>,
): Promise<readonly string[]> {
  const dashes = path.startsWith('-') ? ['--'] : [];
  const session = await node.exec(['/usr/bin/scp', ...flags, ...dashes, shellQuoteGlob(path)].join(' '));
  const stream = new ScpStream(session.channel, session.channel);
  const copying = { session, stream, left, errors: collect(session) };
  try {
    await work(stream);
    stream.end();
  } catch (e) {
    throw await cutShort(e, copying);
  }
  await checkEnd(copying);
  return stream.complaints;
}

const maxErrorText = 16_384;

async function collect(session: ClientSession): Promise<string> {
  let text = '';
  try {
    for await (const piece of session.channel.stderr as AsyncIterable<Buffer>)
      if (text.length < maxErrorText) text += piece.toString('utf8');
  } catch {
    // the channel was cut off: the output until then is all there is
  }
  return text;
}
