import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CodedError } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import type { Run } from '../../program.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { parsePort } from '../cluster/proxy-address.ts';
import { readSettings } from '../settings.ts';
import { nodePort } from '../ssh-config.ts';

/**
 * `tsh proxy ssh host:port`: standard input and output are the connection to the node, for the ProxyCommand
 * of stock ssh. It ends when the node or ssh does.
 */
export const proxySshCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const text = invocation.arg('[user@]host:port') ?? '';
  const asked = parseNode(text);
  // Standard input is the client's SSH: nobody can be asked there.
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster'), mayAsk: false });
  try {
    const node = { ...asked, host: withoutCluster(asked.host, cluster.route.cluster) };
    const channel = await cluster.openNode(node);
    await carry(channel, cluster.lost, io);
    return 0;
  } finally {
    cluster.close();
  }
};

/**
 * Reads `[user@]host[:port]`; whose login it is, ssh itself tells the node. The usual port of nodes means
 * whatever a node listens on, since `tsh config` gives it to all of them.
 * @throws CodedError `bad_request`.
 */
export function parseNode(text: string): { readonly host: string; readonly port: number | undefined } {
  const place = text.slice(text.lastIndexOf('@') + 1);
  const bare = /^[^[\]]*:[^[\]]*:[^[\]]*$/.exec(place)?.[0];
  // `%h:%p` of an IPv6 address has no brackets.
  const [, bracketed, plain, digits] =
    bare === undefined
      ? (/^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(place) ?? [])
      : (/^()(.+):(\d+)$/.exec(bare) ?? []);
  const host = bracketed === undefined || bracketed === '' ? plain : bracketed;
  if (host === undefined || host === '')
    throw new CodedError('bad_request', `'${text}' is not a node: expected [user@]host:port`);
  const port = digits === undefined ? undefined : parsePort(digits, text);
  return { host, port: port === nodePort ? undefined : port };
}

/** `node1.example` of the cluster `example` is its node `node1`, as `tsh config` writes it. */
export const withoutCluster = (host: string, cluster: string): string =>
  host.endsWith(`.${cluster}`) && host.length > cluster.length + 1
    ? host.slice(0, -cluster.length - 1)
    : host;

/**
 * Resolves when the node has ended and what it sent is written, or nobody reads it any more.
 * @throws CodedError `unavailable` when the connection to the proxy was lost.
 */
async function carry(
  channel: Duplex,
  lost: Promise<Error | undefined>,
  { stdin, raw }: CliIo,
): Promise<void> {
  const { stdout } = raw;
  const { promise: ended, resolve: end } = Promise.withResolvers<'node' | 'reader'>();
  const seen = { nodeEnded: false };
  let whyLost: string | undefined;
  void lost.then((e) => {
    whyLost = `the connection to the proxy was lost${e === undefined ? '' : `: ${e.message}`}`;
  });
  channel.on('error', () => channel.destroy()); // `close` follows
  channel.once('end', () => {
    seen.nodeEnded = true;
  });
  channel.once('close', () => {
    end('node');
  });
  stdout.on('error', () => {
    end('reader');
  });
  stdin.on('error', () => channel.end());
  stdin.pipe(channel); // its end is passed on, and what the node still sends is carried
  channel.pipe(stdout, { end: false });
  const by = await ended;
  stdin.unpipe(channel);
  stdin.destroy();
  if (by === 'reader') {
    channel.destroy();
    return;
  }
  if (!seen.nodeEnded) {
    await nextTurn(); // what lost the channel is known by then
    throw new CodedError('unavailable', whyLost ?? 'the node broke off the connection');
  }
  await new Promise<void>((resolve) => {
    stdout.write(Buffer.alloc(0), () => {
      resolve();
    });
  });
}
