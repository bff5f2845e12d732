import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { printable } from '../../../base/printable.ts';
import type { HostPort } from '../../../base/service.ts';
import type { SshClient } from '../../../ssh/cert-client.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import type { Run } from '../../program.ts';
import { forwardAgentChannel } from './agent-forward.ts';
import type { ClusterClient, NodeAddress } from '../cluster/cluster-client.ts';
import { watchInterruption } from '../../interruption.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { localUsername } from './local-person.ts';
import { type Forward, parseDynamicForward, parseForward } from './port-forward.ts';
import { parsePort } from '../cluster/proxy-address.ts';
import { expectManySessions, runSession } from './remote-session.ts';
import { openForwards } from './serve-forwards.ts';
import { readSettings } from '../settings.ts';
import { explainAmbiguous, selectNodes } from './ssh-nodes.ts';
import { type SshOptions, parseSshOptions } from './ssh-options.ts';
import { type Target, parseTarget } from './ssh-target.ts';

interface Wanted {
  readonly target: Target;
  readonly login: string;
  readonly port: number | undefined;
  /** Undefined: a shell. */
  readonly command: string | undefined;
  readonly localCommand: readonly string[] | undefined;
  readonly forwards: readonly Forward[];
  readonly dynamic: readonly HostPort[];
  readonly noExec: boolean;
  readonly pty: boolean;
  readonly forwardAgent: boolean;
  readonly escapeSequences: boolean;
  readonly takesInput: boolean;
  readonly options: SshOptions;
}

/** `tsh ssh [user@]host [command]`. */
export const sshCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const wanted = readWanted(invocation, settings.login, settings.escapeSequences, io);
  const cluster = await openCluster(settings, io, {
    cluster: invocation.text('cluster'),
    strictHostKeys: wanted.options.strictHostKeyChecking,
    addKeysToAgent: wanted.options.addKeysToAgent,
  });
  try {
    const nodes = await addressesOf(cluster, wanted, io);
    const [first] = nodes;
    if (first === undefined) throw new CodedError('not_found', 'no nodes match these labels');
    if (nodes.length === 1) await onNode(cluster, first, wanted, io);
    else await onAllNodes(cluster, nodes, wanted, io);
    return 0;
  } finally {
    cluster.close();
  }
};

function readWanted(
  invocation: Invocation,
  defaultLogin: string | undefined,
  escapeSequences: boolean,
  io: CliIo,
): Wanted {
  const options = parseSshOptions(invocation.list('option'), (message) => io.stderr.write(`${message}\n`));
  const target = parseTarget(invocation.arg('[user@]host') ?? '');
  const port = invocation.text('port');
  const commands = readCommands(invocation);
  const tty = invocation.on('tty') || options.requestTty;
  return {
    ...commands,
    target,
    login: target.login ?? defaultLogin ?? localUsername(io.env),
    port: port === undefined ? undefined : parsePort(port, '-p'),
    forwards: invocation.list('forward').map(parseForward),
    dynamic: invocation.list('dynamic-forward').map(parseDynamicForward),
    pty: tty || (commands.command === undefined && io.stdin.isTTY === true),
    forwardAgent: invocation.on('forward-agent') || options.forwardAgent,
    escapeSequences,
    takesInput: true,
    options,
  };
}

function readCommands(invocation: Invocation): Pick<Wanted, 'command' | 'localCommand' | 'noExec'> {
  const words = invocation.rest('command');
  const noExec = invocation.on('no-remote-exec');
  if (noExec && words.length > 0)
    throw new CodedError('bad_request', '-N runs no command, but one was given');
  if (!invocation.on('local'))
    return { command: words.length === 0 ? undefined : words.join(' '), localCommand: undefined, noExec };
  if (words.length === 0) throw new CodedError('bad_request', '--local needs a command to run here');
  return { command: undefined, localCommand: words, noExec };
}

/** A node and its name in messages. */
interface Named extends NodeAddress {
  readonly name: string;
}

async function addressesOf(cluster: ClusterClient, wanted: Wanted, io: CliIo): Promise<readonly Named[]> {
  const { target, login, port } = wanted;
  if (target.kind === 'host') return [{ host: target.host, name: target.host, port, login }];
  const nodes = await selectNodes(cluster, target.labels, io);
  const found = nodes.map((node): Named => ({ host: node.hostId, name: node.nodename, port, login }));
  if (found.length < 2) return found;
  if (wanted.command !== undefined) {
    io.stderr.write('WARNING: multiple nodes matched label selector. Running command on all.\n');
    return found;
  }
  io.stderr.write(
    `WARNING: multiple nodes match the label selector. Picking the first: ${printable(found[0]?.name ?? '')}\n`,
  );
  return found.slice(0, 1);
}

async function onNode(cluster: ClusterClient, address: Named, wanted: Wanted, io: CliIo): Promise<void> {
  const agent = wanted.forwardAgent ? forwardAgentChannel(io) : undefined;
  const node = await cluster.dialNode(address, agent, address.name).catch(async (e: unknown) => {
    throw await explainAmbiguous(e, cluster, address.host, io);
  });
  try {
    const forwards = await openForwards(node, wanted.forwards, wanted.dynamic, io);
    try {
      await useNode(node, wanted, agent !== undefined, io);
    } finally {
      forwards.close();
    }
  } finally {
    node.close();
  }
}

async function useNode(node: SshClient, wanted: Wanted, agentForwarding: boolean, io: CliIo): Promise<void> {
  if (wanted.localCommand !== undefined) await runLocally(wanted.localCommand);
  else if (wanted.noExec) await untilInterrupted(node);
  else await runSession(node, { ...wanted, agentForwarding }, io);
}

async function runLocally([program = '', ...args]: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: 'inherit' });
  let ended: unknown[];
  try {
    ended = await once(child, 'exit');
  } catch (e) {
    throw new CodedError('not_found', `cannot run ${program}: ${messageOf(e)}`, { cause: e });
  }
  const [code, signal] = ended as [number | null, NodeJS.Signals | null];
  const status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  if (status !== 0) throw new ExitStatus(status, `Process exited with status ${status}`);
}

async function untilInterrupted(node: SshClient): Promise<void> {
  const interruption = watchInterruption();
  try {
    const lost = await Promise.race([node.closed, interruption.signalled]);
    throw new CodedError(
      'unavailable',
      `the connection to the node ended: ${lost?.message ?? 'closed by the node'}`,
    );
  } finally {
    interruption.stop();
  }
}

/** The command on every node at once; each output is shown complete, under the node's address. */
async function onAllNodes(
  cluster: ClusterClient,
  nodes: readonly Named[],
  wanted: Wanted,
  io: CliIo,
): Promise<void> {
  expectManySessions(io);
  const results = await Promise.allSettled(
    nodes.map((address) => {
      io.stdout.write(`Running command on ${printable(address.name)}:\n`);
      return onNode(cluster, address, { ...wanted, pty: false, takesInput: false }, io);
    }),
  );
  const failed = results.map((r, i) =>
    r.status === 'fulfilled' ? undefined : `${nodes[i]?.name ?? ''}: ${messageOf(r.reason)}`,
  );
  const messages = failed.filter((m) => m !== undefined);
  if (messages.length > 0) throw new ExitStatus(1, messages.join('\n'));
}
