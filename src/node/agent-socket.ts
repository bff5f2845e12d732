import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import { joinStreams } from '../base/join-streams.ts';
import type { OsUser } from '../machine/passwd.ts';

/** A socket on which a person's programs reach the agent on the person's own machine. */
export interface AgentSocket {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens the socket: 0600, owned by the login. Its folder stays ours, so that nobody can put another socket in
 * its place; before the socket is ready nobody can enter the folder.
 */
async function openAgentSocket(user: OsUser, openAgent: () => Promise<Duplex>): Promise<AgentSocket> {
  const folder = await mkdtemp(join(tmpdir(), 'teleport-'));
  const path = join(folder, `teleport-${process.pid}.socket`);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy()); // a program that went away
    openAgent().then(
      (channel) => joinStreams(socket, channel),
      () => socket.destroy(), // the client does not lend it after all: the program gets no agent
    );
  });
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    if (server.listening)
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      // A later error: a program that cannot be accepted, for lack of a descriptor, gets no agent.
      server.on('error', reject).listen(path, resolve);
    });
    await chmod(path, 0o600);
    if (process.getuid?.() === 0) await chown(path, user.uid, user.gid);
    await chmod(folder, 0o711);
  } catch (e) {
    await close();
    throw e;
  }
  return { path, close };
}

/**
 * The one agent socket of a connection: made when the agent is first lent and shared by all sessions after
 * that. It goes with the connection and not with a session, since programs that a session left behind (tmux,
 * a master of ControlMaster) still use it. sshd does the same.
 */
export class ConnectionAgent {
  readonly #openAgent: () => Promise<Duplex>;
  #socket: Promise<AgentSocket> | undefined;
  #closed = false;

  /** @param openAgent a channel to the person's agent, or a failure when it is not lent any more. */
  constructor(openAgent: () => Promise<Duplex>) {
    this.#openAgent = openAgent;
  }

  /**
   * The path of the socket. @throws CodedError `unavailable` when it cannot be made: the next session tries
   * again.
   */
  async lend(user: OsUser): Promise<string> {
    if (this.#closed) throw new CodedError('unavailable', 'the connection is closed');
    const socket = (this.#socket ??= openAgentSocket(user, this.#openAgent));
    try {
      return (await socket).path;
    } catch (e) {
      if (this.#socket === socket) this.#socket = undefined;
      throw new CodedError('unavailable', `no socket can be made in ${tmpdir()}: ${messageOf(e)}`, {
        cause: e,
      });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const socket = await this.#socket?.catch(() => undefined); // whoever requested it got the error
    await socket?.close();
  }
}
