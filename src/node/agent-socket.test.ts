import { existsSync, readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { OsUser } from '../machine/passwd.ts';
import { ConnectionAgent } from './agent-socket.ts';

const uid = process.getuid?.() ?? 0;
/** Somebody else where we may give a file away. */
const user = {
  name: 'joe',
  uid: uid === 0 ? 1234 : uid,
  gid: uid === 0 ? 1235 : process.getgid?.(),
} as OsUser;
const open: ConnectionAgent[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const agent of open.splice(0)) await agent.close();
});
function agentOf(openAgent: () => Promise<Duplex>): ConnectionAgent {
  const agent = new ConnectionAgent(openAgent);
  open.push(agent);
  return agent;
}
const never = (): Promise<Duplex> => new Promise(() => undefined);
const closeOf = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve));
async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

describe('the socket of an agent', () => {
  it("is the login's own, in a folder in which it can change nothing", async () => {
    const path = await agentOf(never).lend(user);
    const [socket, folder] = [statSync(path), statSync(dirname(path))];
    expect([socket.mode & 0o777, socket.uid, socket.gid]).toEqual([0o600, user.uid, user.gid]);
    expect([folder.mode & 0o777, folder.uid]).toEqual([0o711, uid]);
    expect(readdirSync(dirname(path))).toHaveLength(1);
  });

  it('leads each program to the agent, both ways, also when it has said all', async () => {
    const asked: string[] = [];
    const agent = agentOf(() => {
      const [question, answer] = [new PassThrough(), new PassThrough()];
      const n = asked.push('') - 1;
      question.on('data', (chunk: Buffer) => (asked[n] = `${asked[n] ?? ''}${chunk.toString()}`));
      question.on('end', () => answer.end('signed'));
      return Promise.resolve(Duplex.from({ writable: question, readable: answer }));
    });
    const path = await agent.lend(user);
    for (let n = 1; n <= 2; n++) {
      const socket = await connected(path);
      let said = '';
      socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const closed = closeOf(socket);
      socket.end('sign this');
      await closed;
      expect([said, asked]).toEqual(['signed', Array(n).fill('sign this')]);
    }
  });

  it('shows no agent where the client does not lend it after all', async () => {
    const path = await agentOf(() => Promise.reject(new Error('it may no longer be forwarded'))).lend(user);
    await closeOf(connect(path));
  });

  it('is one for all sessions, and gone with the connection, with all who use it', async () => {
    const agent = agentOf(never);
    const path = await agent.lend(user);
    expect(await agent.lend(user)).toBe(path);
    const socket = await connected(path);
    const closed = closeOf(socket);
    await agent.close();
    await closed;
    expect(existsSync(dirname(path))).toBe(false);
    await expect(agent.lend(user)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the connection is closed' },
    });
    await agent.close();
  });

  it('that cannot be made is tried again by the next session', async () => {
    const agent = agentOf(never);
    vi.stubEnv('TMPDIR', '/nonexistent');
    await expect(agent.lend(user)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^no socket can be made in \/nonexistent: .*ENOENT/) as string,
    });
    vi.unstubAllEnvs();
    expect(existsSync(await agent.lend(user))).toBe(true);
  });

  it('that was never made, or could not be, is nothing to close', async () => {
    const agent = agentOf(never);
    await agent.close();
    const other = agentOf(never);
    vi.stubEnv('TMPDIR', '/nonexistent');
    const lending = other.lend(user);
    const closing = other.close();
    await expect(lending).rejects.toMatchObject({ code: 'unavailable' });
    await closing;
  });
});
