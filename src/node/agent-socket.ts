import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { OsUser } from '../ssh/passwd.ts';
import { carry } from './carry.ts';

/** A socket on which a person's programs reach the agent on the person's own machine. */
export interface AgentSocket {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens the socket: 0600, owned by the login. Its folder stays ours, so that nobody can put another in its place; before
 * the socket is ready nobody can enter it.
 */
export async function openAgentSocket(user: OsUser, openAgent: () => Promise<Duplex>): Promise<AgentSocket> {
  const folder = await mkdtemp(join(tmpdir(), 'teleport-'));
  const path = join(folder, `teleport-${process.pid}.socket`);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy()); // a program that went away
    openAgent().then(
      (channel) => carry(socket, channel),
      () => socket.destroy(), // the client does not lend it after all: the program sees no agent
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
      server.once('error', reject).listen(path, resolve);
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
