import type { Socket } from 'node:net';
import { messageOf } from '../../../base/errors.ts';
import { joinStreams } from '../../../base/join-streams.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import type { SshClient } from '../../../ssh/cert-client.ts';
import type { CliIo } from '../../cli-io.ts';
import { type Forward, type LocalListener, listenLocally } from './port-forward.ts';
import { readGreeting, readRequest, type SocksStep, socksReply } from './socks.ts';

/** All of `-L` and `-D`. When one cannot be bound, the earlier ones are closed again. */
export async function openForwards(
  node: SshClient,
  forwards: readonly Forward[],
  dynamic: readonly HostPort[],
  io: CliIo,
): Promise<LocalListener> {
  const open: LocalListener[] = [];
  const close = (): void => {
    for (const listener of open) listener.close();
  };
  try {
    for (const { listen, target } of forwards)
      open.push(await listenLocally(listen, (socket) => void serveTarget(node, socket, target, io)));
    for (const listen of dynamic)
      open.push(await listenLocally(listen, (socket) => void serveSocks(node, socket, io)));
  } catch (e) {
    close();
    throw e;
  }
  return { close };
}

async function serveTarget(node: SshClient, socket: Socket, target: HostPort, io: CliIo): Promise<void> {
  socket.on('error', () => undefined); // until it is joined; then its end is noticed
  try {
    join(socket, await node.forwardOut(target, originatorOf(socket)), target, io);
  } catch (e) {
    io.stderr.write(`cannot forward to ${formatHostPort(target)}: ${messageOf(e)}\r\n`);
    socket.destroy();
  }
}

const originatorOf = (socket: Socket): HostPort => ({
  host: socket.remoteAddress ?? '127.0.0.1',
  port: socket.remotePort ?? 0,
});

type Channel = Awaited<ReturnType<SshClient['forwardOut']>>;

/** Both directions, each with its own end. Output of the node on stderr (a refusal) is shown. */
function join(socket: Socket, channel: Channel, target: HostPort, io: CliIo): void {
  channel.stderr.on('data', (text: Buffer) => {
    io.stderr.write(`${formatHostPort(target)}: ${text.toString('utf8').trimEnd()}\r\n`);
  });
  void joinStreams(socket, channel);
}

async function serveSocks(node: SshClient, socket: Socket, io: CliIo): Promise<void> {
  socket.on('error', () => undefined); // a client that went away ends its own connection
  try {
    const target = await negotiate(socket);
    if (target === undefined) {
      socket.destroySoon(); // at once after our reply: it may not end by itself
      return;
    }
    await connectSocks(node, socket, target, io);
  } catch {
    socket.destroy();
  }
}

async function connectSocks(node: SshClient, socket: Socket, target: HostPort, io: CliIo): Promise<void> {
  try {
    const channel = await node.forwardOut(target, originatorOf(socket));
    socket.write(socksReply('succeeded'));
    join(socket, channel, target, io);
  } catch {
    socket.write(socksReply('failed'));
    socket.destroySoon();
  }
}

/** The requested target; undefined when the client was refused (and got the reason). */
async function negotiate(socket: Socket): Promise<HostPort | undefined> {
  const greeting = await step(socket, readGreeting);
  if (greeting.kind !== 'greeted') return undefined;
  const request = await step(socket, readRequest);
  return request.kind === 'connect' ? request.target : undefined;
}

/** Feeds bytes to `read` until it returns something; the unused ones go back into the socket. */
function step(socket: Socket, read: (bytes: Buffer) => SocksStep): Promise<SocksStep> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const finish = (): void => {
      socket.off('data', onData).off('end', onClose).off('close', onClose).pause();
    };
    const onClose = (): void => {
      finish();
      reject(new Error('the client went away'));
    };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const answer = read(bytes);
      if (answer.kind === 'more') return;
      finish();
      if (answer.kind !== 'refused' && bytes.length > answer.used)
        socket.unshift(bytes.subarray(answer.used));
      if ('reply' in answer && answer.reply.length > 0) socket.write(answer.reply);
      resolve(answer);
    };
    socket.on('data', onData).on('end', onClose).on('close', onClose).resume();
  });
}
